from gpuglass.catalogue.xid_table import XIDS, Class, Severity, codes


def test_codes_are_in_order_and_named_once() -> None:
    assert list(XIDS) == sorted(XIDS)
    assert len({xid.name for xid in XIDS.values()}) == len(XIDS)


def test_every_xid_is_a_sentence() -> None:
    for xid in XIDS.values():
        assert xid.means[0].isupper() and xid.means.endswith("."), xid
        assert len(xid.means) < 120, xid


def test_every_class_has_its_xids() -> None:
    assert all(codes(cls) for cls in Class)
    assert sum(len(codes(cls)) for cls in Class) == len(XIDS)


def test_what_users_kill_or_break_pages_nobody() -> None:
    for code in (13, 31, 43, 45, 63, 94):
        assert XIDS[code].cls.severity is not Severity.CRITICAL


def test_what_ends_a_gpu_pages_somebody() -> None:
    for code in (48, 62, 64, 74, 79, 95, 119, 120, 140, 143):
        assert XIDS[code].cls.severity is Severity.CRITICAL
