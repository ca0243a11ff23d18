"""Where a process listens, read from the kernel's own tables."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

LISTENING = "0A"  # the kernel's number of the state LISTEN


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """An address and port that somebody may connect to."""

    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        address = ip_address(self.address)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback


def listeners_of(pid: int) -> tuple[Listener, ...]:
    """TCP ports that a process listens on; none where it is gone or not ours to look at."""
    sockets = set(_sockets(pid))
    return tuple(listener for inode, listener in _listening(pid) if inode in sockets)


def _sockets(pid: int) -> Iterator[str]:
    """The kernel's numbers of the sockets that a process holds."""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def _listening(pid: int) -> Iterator[tuple[str, Listener]]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING:
                    address, _, port = fields[1].partition(":")
                    yield fields[9], Listener(address=_address(address), port=int(port, 16))


def _address(text: str) -> str:
    """The kernel writes words of four bytes in hex, each in the machine's little-endian order."""
    raw = bytes.fromhex(text)
    packed = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))
