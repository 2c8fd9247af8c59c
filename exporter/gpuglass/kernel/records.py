"""What of the kernel log is an XID, and how it is handed on."""

import re

# Anybody who may write to the log can write the rest of a record: only what the driver writes
# counts, at the beginning of a message. The driver writes the address without its function, older
# ones without its domain. The form is PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;MESSAGE (Linux,
# ABI/dev-kmsg).
XID = re.compile(
    rb"^\d+,(?P<sequence>\d+),(?P<microseconds>\d+),[^;\n]*;"
    rb"NVRM: Xid \((?:PCI:)?(?P<address>[0-9a-fA-F:]+)(?:\.\d+)?\): (?P<xid>\d{1,4})\b",
    re.MULTILINE,
)
RECORD_BYTES = 8192
# The first packet of a reader that reads; that of one that cannot is the error's name.
READY = b"ready"
