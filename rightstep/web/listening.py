"""Who may ask without a key: somebody at this machine, while no key was made; and where to listen then."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

LOCAL_NAME = "localhost"


@dataclass(frozen=True, kw_only=True, slots=True)
class BindRefusal:
    """Why nothing may listen there."""

    detail: str
    next_step: str


def refuse_bind(host: str, *, has_keys: bool) -> BindRefusal | None:
    """Why the API may not listen at a host; None where it may."""
    if has_keys or is_loopback(host):
        return None
    return BindRefusal(
        detail=f"{host} is more than this machine, and no key exists: anybody could order pictures.",
        next_step="Make a key first, or listen at 127.0.0.1.",
    )


def note_for(host: str, *, has_keys: bool) -> str:
    """What is said at the start about who may ask."""
    if has_keys:
        return f"Listening at {host}; every request needs a key."
    return f"Listening at {host} without keys: whoever uses this machine may order, read and cancel."


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine and no other; a name that has to be looked up is not."""
    if host.lower() == LOCAL_NAME:
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """What a request without a key says of where it comes from."""

    address: str  # of the other end of the socket; "" where it is not known
    host: str  # the header Host
    origin: str | None  # the page that asks, where a browser says so
    fetch_site: str | None  # the same in the browser's words
    is_forwarded: bool  # a proxy stands between


def _is_near(caller: Caller) -> str:
    return "" if is_loopback(caller.address) else "It comes from another machine."


def _is_direct(caller: Caller) -> str:
    return "It comes through a proxy, from nobody knows where." if caller.is_forwarded else ""


def _names_this_machine(caller: Caller) -> str:
    """A name of somebody else's that was pointed at this machine is how a page gets past its browser."""
    return "" if is_loopback(_name_of(f"//{caller.host}")) else "It asks for another host."


def _is_no_foreign_page(caller: Caller) -> str:
    is_own = caller.fetch_site in {None, "same-origin", "none"}
    if caller.origin is not None:
        is_own = is_own and is_loopback(_name_of(caller.origin))
    return "" if is_own else "A page of another site asks."


KEYLESS_RULES: tuple[Callable[[Caller], str], ...] = (
    _is_near,
    _is_direct,
    _names_this_machine,
    _is_no_foreign_page,
)


def refuse_keyless(caller: Caller) -> str:
    """Why a request needs a key although none exists yet; "" where it does not."""
    return next((told for rule in KEYLESS_RULES if (told := rule(caller))), "")


def refuse_page(origin: str | None, host: str, allowed: Collection[str] = ()) -> str:
    """Why a page may open no socket here, whatever it has to show; "" where it may, and for who is no page.

    A browser lets any page open a socket to anywhere, and only says which page it was.
    """
    if origin is None or origin in allowed:
        return ""
    try:
        parts = urlsplit(origin)
        is_own = parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower() != ""
    except ValueError:
        is_own = False
    return "" if is_own else "A page of another site asks."


def _name_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
