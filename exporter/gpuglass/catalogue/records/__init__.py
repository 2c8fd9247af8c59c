"""What vmalert records: the answers that dashboards, alerts and bills ask for over and over.

The rules in ``victoriametrics/rules/records/`` and docs/recorded-series.md are built from here.
Names are level:metric:operation, as the Prometheus world has it.
"""

from gpuglass.catalogue.records import energy, health, jobs, owners, utilization
from gpuglass.catalogue.records.model import Record, Subject

SUBJECTS: tuple[Subject, ...] = (
    utilization.SUBJECT,
    owners.SUBJECT,
    energy.SUBJECT,
    health.SUBJECT,
    jobs.SUBJECT,
)
RECORDS: tuple[Record, ...] = tuple(record for subject in SUBJECTS for record in subject.records)
