"""Where messages about jobs go: a part of ``flows.settings``, apart for its length alone."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from policy.errors import WrongUse
from policy.messages import read_secret

Address = Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")]


class MessageSettings(BaseSettings):
    """Webhook and e-mail; neither is used where it is not set."""

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What signs messages to the webhook: whsec_BASE64, as Standard Webhooks has it.",
    )
    webhook_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="Where a signed message goes when a job is finished, failed, held or at risk.",
    )
    mail_to: Annotated[tuple[Address, ...], NoDecode] = Field(
        default=(), description="Who gets the same by e-mail: addresses separated by commas."
    )
    mail_from: Address = Field(default="rightstep@localhost", description="Who these e-mails are from.")
    smtp_host: str = Field(default="localhost", description="The mail server that takes them.")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(default=587, description="Its port.")
    smtp_security: str = Field(
        default="starttls",
        pattern="^(starttls|none)$",
        description="starttls sends nothing before the connection is encrypted; none is for a server that "
        "is this machine.",
    )
    smtp_ca: Path | None = Field(
        default=None,
        description="PEM: who vouches for the mail server; what the system trusts by default.",
    )
    smtp_user: str = Field(default="", description="Who logs in at the mail server; nobody by default.")
    smtp_password: SecretStr | None = Field(default=None, description="With what.")

    @field_validator("mail_to", mode="before")
    @classmethod
    def _addresses(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(part.strip() for part in given.split(",") if part.strip())

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_secret(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            try:
                read_secret(given.get_secret_value())
            except WrongUse as error:
                raise ValueError(f"{error.message} {error.next_step}") from None
        return given

    @field_validator("webhook_url")
    @classmethod
    def _is_signed(cls, given: str | None, info: ValidationInfo) -> str | None:
        """Nothing is sent that a receiver could not tell from somebody else's."""
        if given is not None and info.data.get("webhook_secret") is None:
            raise ValueError("a webhook needs RIGHTSTEP_WEBHOOK_SECRET as well")
        return given

    @field_validator("smtp_ca")
    @classmethod
    def _ca_is_absolute(cls, given: Path | None) -> Path | None:
        return None if given is None else given.expanduser().absolute()
