"""The lake: the raw master table (Delta), and batch views (Parquet and manifests).

Comes in: records of the log, recomputed views. Goes out: the same, to whoever reads them.
Touches the file system only.
"""
