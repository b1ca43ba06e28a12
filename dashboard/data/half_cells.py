"""Half-cell curves: tables of lithiation and voltage that people attached to samples and tests."""

from __future__ import annotations

from battery_analysis.analysis.ocv import HalfCell
from battery_analysis.errors import AnalysisError
from battery_analysis.models import Attachment, Sample, TestResult
from battery_analysis.store import attachments
from battery_analysis.store.access import by_id, visible
from dashboard.data import asked, store

MOST_BYTES = 16 << 20
"""Of a curve; a hundred thousand points take a tenth of it."""

MOST_LISTED = 500


@asked
def listed() -> dict[str, str]:
    """Return the CSV files that people attached, newest first: name of the sample or test, and of the file, by id."""
    found = visible(Attachment).filter(owner__ne=None, name__iendswith=".csv", size__lte=MOST_BYTES)
    files = list(found.order_by("-created_at").only("id", "name", "owner").limit(MOST_LISTED))
    owners = [each.owner for each in files]
    names = dict(visible(Sample).filter(id__in=owners).scalar("id", "name"))
    names |= dict(visible(TestResult).filter(id__in=owners).scalar("id", "name"))
    return {str(each.id): f"{names[each.owner]}: {each.name}" for each in files if each.owner in names}


@asked
def curve(attachment_id: str, electrode: str) -> HalfCell:
    """Return the curve that a file holds.

    Raises:
        NotFoundError: There is no such file.
        AnalysisError: It holds no columns ``lithiation`` and ``voltage_volt``, or is too large.
    """
    found = by_id(Attachment, attachment_id)
    if found.size > MOST_BYTES:
        raise AnalysisError(f"ocv: {found.name}: a curve may have {MOST_BYTES >> 20} MiB, it has {found.size:,} bytes")
    return HalfCell.of_csv(b"".join(attachments.stream(store(), found)), f"{electrode} electrode ({found.name})")
