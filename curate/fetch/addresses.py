"""Which addresses may be connected to, decided where the socket opens.

A check of names or URLs is not enough: names resolve to anything, and to something else the next
moment. The address that is checked here is the one that the socket is then connected to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# No error of the system has this number; aiohttp keeps the number where it merges errors.
BLOCKED_ERRNO = 990_001
_ENTRY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<other>[^:\s]+))(?::(?P<port>\d{1,5}))?\Z")
# What `is_global` of some Python versions lets through: addresses that carry or stand for others
# (RFC 6052, 8215, 3056, 4380, 7343, 9602), benchmarks, discard, and old site-local ones.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("240.0.0.0/4", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"),
        *("64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16", "5f00::/16", "fc00::/7"),
        "168.63.129.16/32",  # Azure's own service to its machines
        *("fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "3fff::/20"),
    )
)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the open internet, and itself, not a wrapping of another.

    Cloud metadata services (169.254.169.254, fd00:ec2::254) are link-local and unique-local.
    """
    wrapped = address.version == 6 and getattr(address, "ipv4_mapped", None) is not None
    return (
        address.is_global
        and not wrapped
        and not (address.is_multicast or address.is_reserved or address.is_loopback)
        and not any(address in network for network in _NEVER if network.version == address.version)
    )


class Allowed:
    """The addresses that the user lets through; see `RefetchParams.allow_hosts`.

    Raises:
        DefinitionError: an entry is not an address, a network or a name.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks: list[tuple[Any, int | None]] = []
        self._names: set[tuple[str, int | None]] = set()
        self._resolved: set[tuple[Address, int | None]] = set()
        for entry in entries:
            bare = entry if "[" in entry or entry.count(":") < 2 else f"[{entry}]"
            found = _ENTRY.match(bare)
            if not found:
                raise DefinitionError(
                    f"refetch: allow_hosts has {entry!r}. Allowed: an address, a network or a name,"
                    " with or without a port: 127.0.0.1:8080, 127.0.0.0/8, [::1]:8080, localhost."
                )
            port = int(found["port"]) if found["port"] else None
            host = found["six"] or found["other"]
            try:
                self._networks.append((ipaddress.ip_network(host), port))
            except ValueError:
                self._names.add((host.lower(), port))

    def note(self, name: str, port: int, addresses: Sequence[str]) -> None:
        """Let the addresses of a name through if the name is allowed."""
        for listed in (port, None):
            if (name.lower(), listed) in self._names:
                self._resolved |= {(ipaddress.ip_address(a), listed) for a in addresses}

    def lets(self, address: Address, port: int) -> bool:
        """Tell whether the user allows this address."""
        return (
            any(
                listed in (None, port) and network.version == address.version and address in network
                for network, listed in self._networks
            )
            or (address, port) in self._resolved
            or (address, None) in self._resolved
        )


class Guard:
    """Opens sockets to allowed addresses only; aiohttp calls it for every connection it makes."""

    def __init__(self, allow_hosts: Sequence[str]) -> None:
        self._allowed = Allowed(allow_hosts)

    def open(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Return a socket for one address, after checking it.

        Raises:
            OSError: with BLOCKED_ERRNO; the address is not to be connected.
        """
        family, kind, protocol, _, place = info
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not is_public(address) and not self._allowed.lets(address, int(place[1])):
            raise OSError(BLOCKED_ERRNO, f"{address} is not an address of the open internet")
        return socket.socket(family, kind, protocol)

    def resolver(self, inner: AbstractResolver | None = None) -> AbstractResolver:
        """Return a resolver that looks names up with `inner`, else as the system does."""
        from aiohttp.abc import AbstractResolver as Base
        from aiohttp.abc import ResolveResult
        from aiohttp.resolver import ThreadedResolver

        allowed, below = self._allowed, inner or ThreadedResolver()

        class Resolver(Base):
            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
            ) -> list[ResolveResult]:
                results = await below.resolve(host, port, family)
                allowed.note(host, port, [result["host"] for result in results])
                return results

            async def close(self) -> None:
                await below.close()

        return Resolver()
