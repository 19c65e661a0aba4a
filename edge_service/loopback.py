"""Which addresses only this machine can reach: there a token or a secret may travel in the clear."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or a numeric address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
