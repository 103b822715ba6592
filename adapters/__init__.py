"""Everything that touches the outside: Kafka, Redis, the lake and the embedded servers. Imports `core` only."""
