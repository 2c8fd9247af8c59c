"""How answers are compressed: quickly."""

try:
    from isal import igzip_lib  # a third of gzip's time; not built for every processor
except ImportError:
    import gzip as _gzip

    def gzip(body: bytes) -> bytes:
        """A gzip file of a body."""
        return _gzip.compress(body, _LEVEL, mtime=0)
else:

    def gzip(body: bytes) -> bytes:
        """A gzip file of a body."""
        return igzip_lib.compress(body, _LEVEL, igzip_lib.COMP_GZIP)


# Higher levels cost more time than the network gives back: the page shrinks 12-fold at 1 already.
_LEVEL = 1
