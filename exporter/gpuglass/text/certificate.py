"""Until when a certificate is good."""

import ssl
from datetime import datetime, timezone

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def expiry(pem: bytes) -> float | None:
    """The Unix time at which the first certificate of a PEM file ends; ``None`` if it has none."""
    begin = pem.find(_BEGIN)
    end = pem.find(_END, begin)
    if begin < 0 or end < 0:
        return None
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(_END)].decode("ascii")))
    except (ValueError, IndexError):
        return None


def _not_after(certificate: bytes) -> float:
    """The end of a certificate's validity.

    Raises:
        ValueError: It is no certificate.
        IndexError: It was cut short.
    """
    place = _into(certificate, _into(certificate, 0))
    if certificate[place] == _VERSION:
        place = _past(certificate, place)
    # The serial number, the algorithm of the signature, and the issuer.
    for _ in range(3):
        place = _past(certificate, place)
    place = _past(certificate, _into(certificate, place))  # the validity, and its beginning
    start, size = _contents(certificate, place)
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(certificate[place])
    if form is None:
        raise ValueError("no time where the validity is")
    text = certificate[start : start + size].decode("ascii")
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()


def _contents(der: bytes, place: int) -> tuple[int, int]:
    """Where the contents of an element begin, and how long they are."""
    size = der[place + 1]
    if size < 0x80:
        return place + 2, size
    width = size & 0x7F
    return place + 2 + width, int.from_bytes(der[place + 2 : place + 2 + width], "big")


def _into(der: bytes, place: int) -> int:
    if der[place] != _SEQUENCE:
        raise ValueError("no sequence where one has to be")
    return _contents(der, place)[0]


def _past(der: bytes, place: int) -> int:
    start, size = _contents(der, place)
    return start + size
