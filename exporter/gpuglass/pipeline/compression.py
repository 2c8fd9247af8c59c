"""How answers are compressed: quickly."""

import zlib

try:
    # A third of gzip's time, or less; not built for every processor.
    from isal import igzip_lib, isal_zlib
except ImportError:
    import gzip as _gzip

    def gzip(body: bytes) -> bytes:
        """A gzip file of a body."""
        return _gzip.compress(body, _LEVEL, mtime=0)

    def flushed(body: bytes) -> bytes:
        """A part of a stream, which may stand in any other that is made of such parts."""
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
else:

    def gzip(body: bytes) -> bytes:
        """A gzip file of a body."""
        return igzip_lib.compress(body, _LEVEL, igzip_lib.COMP_GZIP)

    def flushed(body: bytes) -> bytes:
        """A part of a stream, which may stand in any other that is made of such parts."""
        packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush(isal_zlib.Z_FULL_FLUSH)


# The header of a gzip file whose time and name are not told: what a stream of parts begins with.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# Higher levels cost more time than the network gives back: the page shrinks 12-fold at 1 already.
_LEVEL = 1
