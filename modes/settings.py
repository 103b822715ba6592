"""Settings: the only place that reads the environment and `.env`. One prefix, `FOURFOLD_`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.http.hosts import AllowedHosts, host_names
from adapters.kafka.access import KafkaAccess
from adapters.listening import Place
from adapters.speed.keys import view_of
from core.errors import ConfigurationError
from core.rules import Rules
from core.secrets import hide, hide_address
from modes.catalogue import Mode, Retention, mode_named
from modes.env_file import EnvFile
from modes.paths import expanded, folder
from modes.setting_names import PREFIX, misspelt

ENV_FILE: Final = Path(".env")
#: Keys of object stores that libraries read by themselves.
_FOREIGN_SECRETS: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

Share = Annotated[float, Field(ge=0, le=1)]


def _own_or_tenth(seconds: float) -> float:
    if seconds and seconds < 0.1:  # noqa: PLR2004 - said in the message
        raise ValueError("an epoch has at least 0.1 seconds, and 0 is the mode's own length")
    return seconds


OwnOrTenth = Annotated[float, Field(ge=0), AfterValidator(_own_or_tenth)]


_DATA_DIR: Final = Path(".fourfold")
#: Of a file or a folder; empty where none is named.
PathText = Annotated[str, AfterValidator(expanded)]
#: Of a folder; empty where none is named.
FolderText = Annotated[str, AfterValidator(folder)]
DataDir = Annotated[Path, BeforeValidator(lambda path: folder(path) or _DATA_DIR)]


def _pipeline(name: str) -> str:
    """Roles may run in other folders."""
    return str(Path(expanded(name)).absolute()) if name.endswith(".toml") else name


PipelineText = Annotated[str, AfterValidator(_pipeline)]


def _host_names(names: str) -> str:
    """Names of hosts, separated by commas."""
    try:
        host_names(names)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return names


HostNames = Annotated[str, AfterValidator(_host_names)]


class Settings(BaseSettings):
    """Every setting with its default. Options of the command line override them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", validate_default=True)

    mode: str = Field("lambda", description="batch, streaming, lambda or kappa")
    pipeline: PipelineText = Field(
        "shop", description="what is counted: a pipeline's name, or a file that ends in .toml"
    )

    kafka: str = Field("", description="Kafka's address, host:port; empty: embedded")
    kafka_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")
    kafka_mechanism: str = Field("PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_username: str = Field("", description="user name for SASL")
    kafka_password: str = Field("", description="password for SASL", repr=False)
    kafka_ca_file: PathText = Field("", description="PEM file of the authority that Kafka's TLS uses")
    kafka_cert_file: PathText = Field("", description="PEM file of the client's certificate")
    kafka_key_file: PathText = Field("", description="PEM file of the client's key")
    redis: str = Field("", description="Redis' address, redis:// or rediss://; empty: embedded", repr=False)

    data_dir: DataDir = Field(_DATA_DIR, description="data and logs of embedded servers")
    kafka_port: int = Field(0, ge=0, le=65535, description="port of the embedded Kafka; 0: a free one")
    redis_port: int = Field(0, ge=0, le=65535, description="port of the embedded Redis; 0: a free one")

    lake: FolderText = Field(
        "", description="folder of the raw table and batch views; empty: lake in the data directory"
    )

    namespace: str = Field(
        "v1",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
        description="name of the view; another name begins a new view",
        json_schema_extra={"allowed": "use 1 to 32 letters, digits, _ . or -"},
    )
    logic: str = Field(
        "standard", description="what validation and fold decide, by name; price-only is wrong on purpose"
    )
    job: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,16}$",
        description="in kappa: the one job version that is counted and answered",
        json_schema_extra={"allowed": "use up to 16 letters, digits, _ or -"},
    )
    group: str = Field("fourfold", min_length=1, description="how consumer groups begin; each view has one of its own")
    partitions: int = Field(4, ge=1, le=1000, description="partitions of each topic that is made")
    replication: int = Field(1, ge=1, le=9, description="replicas of each topic that is made")
    workers: int = Field(1, ge=1, le=64, description="worker processes")

    epoch_seconds: OwnOrTenth = Field(0, le=86400, description="length of an epoch; 0: the mode's own")
    horizon_epochs: int = Field(
        -1, ge=-1, le=1000, description="earlier epochs searched for duplicates; -1: the mode's own"
    )
    lateness_seconds: float = Field(
        60, ge=0, le=31_536_000, description="how late an event may be and not count as late"
    )
    window_hours: float = Field(6, ge=0.001, le=87_600, description="how long streaming keeps speed state")

    batch_seconds: float = Field(60, ge=1, le=86400, description="seconds from one batch cycle to the next")
    cut_margin_seconds: float = Field(
        2, ge=0, le=3600, description="how far clocks of brokers may be apart; a cut is older by it"
    )
    batch_processes: int = Field(2, ge=1, le=64, description="processes of a recompute")
    quality_rules: PathText = Field("", description="file of quality rules; empty: those that come with Fourfold")

    api_host: str = Field("127.0.0.1", description="where the API is served")
    api_port: int = Field(8000, ge=0, le=65535, description="port of the API; 0: a free one")
    api_address: str = Field("", description="where people find the API; empty: where it is served")

    api_hosts: HostNames = Field(
        "", description="further names by which API and metrics may be asked, separated by commas; * for all"
    )

    audit: bool = Field(True, description="whether live views follow the truth in the log, and show the live error")

    rate: float = Field(500, ge=0, allow_inf_nan=False, description="records per second; 0: as fast as possible")
    seed: int = Field(7, description="the same seed gives the same events")
    run: str = Field("", description="identity of the producer's run; empty: a new one each start")
    profile: Literal["", "module-01"] = Field("", description="day profile instead of the endless shop")
    day_seconds: float = Field(120, ge=0, allow_inf_nan=False, description="length of the profile's day; 0: no limit")

    dirt_duplicates: Share = Field(0.01, description="share of events sent twice")
    resend_seconds: str = Field(
        "5-50",
        pattern=r"^[0-9]{1,4}-[0-9]{1,4}$",
        description="after how long one duplicate in seven comes, from-to",
        json_schema_extra={"allowed": "use two whole numbers with - between them, from-to: 5-50"},
    )
    dirt_late: Share = Field(0.005, description="share of events more than a minute late")
    dirt_out_of_order: Share = Field(0.03, description="share of events out of order")
    dirt_missing_field: Share = Field(0.001, description="share without a field")
    dirt_wrong_type: Share = Field(0.001, description="share with a value of another type")
    dirt_bad_format: Share = Field(0.001, description="share with a value in another format")
    dirt_out_of_range: Share = Field(0.001, description="share with a value out of range")
    dirt_unknown_type: Share = Field(0.001, description="share of an unknown event type")
    dirt_wrong_topic: Share = Field(0.001, description="share on the wrong topic")
    dirt_wrong_currency: Share = Field(0.001, description="share in another currency")
    dirt_from_future: Share = Field(0.001, description="share from the future")
    dirt_broken_json: Share = Field(0.001, description="share of broken JSON")
    dirt_garbage: Share = Field(0.001, description="share of binary garbage")

    metrics_host: str = Field("127.0.0.1", description="where metrics and health are served")
    metrics_port: int = Field(0, ge=0, le=65535, description="port for metrics and health; 0: a free one")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="from which level on")
    log_format: Literal["console", "json"] = Field("console", description="console or json")

    @property
    def mode_row(self) -> Mode:
        """The mode's row. Raises `ConfigurationError` where it cannot run."""
        return mode_named(self.mode)

    @property
    def access(self) -> KafkaAccess:
        """How to reach Kafka. Raises `ConfigurationError` where the settings do not fit."""
        return KafkaAccess(
            self.kafka,
            self.kafka_protocol,
            self.kafka_mechanism,
            self.kafka_username,
            self.kafka_password,
            self.kafka_ca_file,
            self.kafka_cert_file,
            self.kafka_key_file,
        )

    @property
    def allowed_hosts(self) -> AllowedHosts:
        """Which hosts the HTTP servers of a role answer to."""
        return AllowedHosts(host_names(self.api_hosts), (self.api_host, self.metrics_host))

    @property
    def api(self) -> Place:
        """Where the API listens."""
        return Place(self.api_host, self.api_port, "the API", "FOURFOLD_API")

    @property
    def metrics(self) -> Place:
        """Where metrics and health of a role are."""
        return Place(self.metrics_host, self.metrics_port, "metrics", "FOURFOLD_METRICS")

    @property
    def view(self) -> str:
        """The name of the speed view: each mode has one of its own, since modes count differently."""
        return f"{self.namespace}-{self.mode}"

    @property
    def speed_view(self) -> str:
        """The name of the speed view that a worker counts into: in kappa that of its job version."""
        return view_of(self.view, self.job) if self.job and self.mode_row.job_versions else self.view

    @property
    def lake_dir(self) -> Path:
        """The lake's folder."""
        return Path(self.lake) if self.lake else self.data_dir / "lake"

    @property
    def rules(self) -> Rules:
        """The numbers that decide what counts, in the mode's own where not set."""
        mode = self.mode_row
        epoch_ms = int((self.epoch_seconds or mode.epoch_seconds) * 1000)
        window_ms = int(self.window_hours * 3_600_000)
        return Rules(
            epoch_ms=epoch_ms,
            horizon=mode.horizon_epochs if self.horizon_epochs < 0 else self.horizon_epochs,
            lateness_ms=int(self.lateness_seconds * 1000),
            keep_epochs=-(-window_ms // epoch_ms) if mode.speed_expires else 0,
        )

    @property
    def retention_ms(self) -> int:
        """How long Kafka keeps events in ms, -1 for good.

        In streaming the window and what the auditor needs before it: the log outlives the view.
        """
        if self.mode_row.retention is not Retention.SHORT:
            return -1
        rules = self.rules
        return (rules.keep_epochs + rules.horizon + 2) * rules.epoch_ms + 3_600_000


def load(**overrides: object) -> Settings:
    """The settings, with options of the command line that are not None.

    Raises `ConfigurationError` that names the first setting that is wrong, and as `EnvFile.read`.
    """
    file = EnvFile.read(ENV_FILE)
    environment = _by_setting(os.environ)
    in_file = {name: each for name, each in _by_setting(file.values).items() if name not in environment}
    given = {name: value for name, value in overrides.items() if value is not None}
    _hide({name: text for name, (_, text) in [*in_file.items(), *environment.items()]} | given)
    try:
        return Settings(**{name: text for name, (_, text) in in_file.items()} | given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"]))
        where = ""
        if name in in_file and name not in given:
            where = f" ({ENV_FILE}, line {file.lines[in_file[name][0]]})"
        raise ConfigurationError(
            f"{PREFIX}{name.upper()} is {first['input']!r}{where}: {_allowed(Settings.model_fields[name], first)}"
        ) from None


def doubts() -> list[str]:
    """What a person should know of names in the environment and in `.env`, each in one line. Raises as `EnvFile.read`."""
    file = EnvFile.read(ENV_FILE)
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    in_environment = [f"environment: {words}" for words in misspelt(os.environ, known).values()]
    in_file = [f"{ENV_FILE}, line {file.lines[name]}: {words}" for name, words in misspelt(file.values, known).items()]
    return [*in_environment, *file.doubts, *in_file]


def _by_setting(variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Setting to its variable's name, in capitals or not, and value."""
    named = ((name.lower().removeprefix(PREFIX.lower()), name, text) for name, text in variables.items())
    return {
        setting: (name, text)
        for setting, name, text in named
        if setting in Settings.model_fields and name.upper().startswith(PREFIX)
    }


def _hide(values: Mapping[str, object]) -> None:
    """From here on no message shows a password."""
    hide(str(values.get("kafka_password", "")), *(os.environ.get(name, "") for name in _FOREIGN_SECRETS))
    for value in values.values():
        if isinstance(value, str):
            hide_address(value)


def _allowed(field: FieldInfo, error: Any) -> str:
    """What a setting may be, in words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if field.annotation is bool:
        return "use true or false"
    if kind == "literal_error":
        return f"use one of {', '.join(str(value) or 'nothing' for value in get_args(field.annotation))}"
    if kind == "string_pattern_mismatch":
        return str((field.json_schema_extra or {})["allowed"])  # type: ignore[index]
    if field.annotation not in (int, float):
        return f"{error['msg'][0].lower()}{error['msg'][1:]}"
    least, most = (
        next((number for each in field.metadata if (number := getattr(each, name, None)) is not None), None)
        for name in ("ge", "le")
    )
    number = "a whole number" if field.annotation is int else "a number"
    if least is not None:
        number += f" from {least:,} to {most:,}" if most is not None else f", {least:,} or more"
    return f"use {number}" + (f", or leave the setting out for {field.default}" if error["input"] == "" else "")


def usual_of(name: str) -> Any:
    """A setting's default."""
    return Settings.model_fields[name].default


def environment(settings: Settings) -> Mapping[str, str]:
    """The environment of role processes: ours, with every setting as it is in force here."""
    values = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        values[f"FOURFOLD_{name.upper()}"] = str(value.absolute()) if isinstance(value, Path) else str(value)
    # each role takes a free port of its own
    others = {name: value for name, value in os.environ.items() if name.upper() not in values}
    return {**others, **values, "FOURFOLD_METRICS_PORT": "0"}
