"""Samples are set field by field or from a sheet, and say what does not fit."""

from __future__ import annotations

import pytest

from battery_analysis.errors import ConflictError, InvalidDocumentError, NotFoundError
from battery_analysis.models import Sample
from battery_analysis.store import Store, samples


def test_setting_fields_makes_the_sample(store: Store) -> None:
    sample = samples.set_fields(store, "AB12", {"chemistry": "NMC/graphite", "area_cm2": "1.54", "metadata.rig": "7"})
    assert (sample.chemistry, sample.area_cm2, sample.metadata) == ("NMC/graphite", 1.54, {"rig": "7"})
    assert samples.by_name("AB12").id == sample.id


def test_an_empty_value_clears_a_field(store: Store) -> None:
    samples.set_fields(store, "AB12", {"area_cm2": "1.54", "tags": "a, b"})
    sample = samples.set_fields(store, "AB12", {"area_cm2": "", "tags": ""})
    assert (sample.area_cm2, list(sample.tags)) == (None, [])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": "red"}, r"Sample 'AB12': no field 'colour'; there are tags, name, chemistry"),
        ({"area_cm2": "big"}, r"area_cm2: a number is wanted, got 'big'"),
        ({"area_cm2": "-1"}, r"area_cm2: must be above 0, got -1\.0"),
        ({"cell_type": "fuel"}, r"cell_type: .*got 'fuel'"),
        ({"metadata.rig.no": "7"}, r"metadata: no entry can be named 'rig\.no'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_field(store: Store, values: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidDocumentError, match=message):
        samples.set_fields(store, "AB12", values)
    assert Sample.objects.count() == 0


PHYSICAL = [name for name in samples.NUMBERS if name != "collector_mass_mg"]


@pytest.mark.parametrize("name", sorted(PHYSICAL))
@pytest.mark.parametrize("value", ["0", "-1e-9"])
def test_a_physical_size_is_above_zero(store: Store, name: str, value: str) -> None:
    samples.set_fields(store, "AB12", {name: "1"})
    with pytest.raises(InvalidDocumentError, match=rf"^Sample 'AB12': {name}: must be above 0, got {float(value)}$"):
        samples.set_fields(store, "AB12", {name: value})
    assert getattr(samples.by_name("AB12"), name) == 1.0


def test_an_electrode_may_have_no_collector(store: Store) -> None:
    assert samples.set_fields(store, "AB12", {"collector_mass_mg": "0"}).collector_mass_mg == 0.0
    with pytest.raises(InvalidDocumentError, match="collector_mass_mg"):
        samples.set_fields(store, "AB12", {"collector_mass_mg": "-1"})


def test_a_component_is_another_saved_sample(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no sample is named 'foil'"):
        samples.set_fields(store, "AB12", {"anode": "foil"})
    samples.set_fields(store, "foil", {"description": "Zn foil"})
    assert samples.set_fields(store, "AB12", {"anode": "foil"}).anode.name == "foil"
    with pytest.raises(InvalidDocumentError, match="anode must be another sample, got 'foil' itself"):
        samples.set_fields(store, "foil", {"anode": "foil"})


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    samples.set_fields(store, "AB12", {"area_cm2": "1.5", "project": "P1", "metadata.rig": "7"})
    samples.set_fields(store, "AB12", {"area_cm2": "1.6"}, seen={"area_cm2": "1.5"})
    with pytest.raises(ConflictError, match=r"Sample 'AB12': area_cm2 is '1\.6' by now, no longer '1\.5'"):
        samples.set_fields(store, "AB12", {"area_cm2": "1.7"}, seen={"area_cm2": "1.5"})
    with pytest.raises(ConflictError, match=r"metadata\.rig is '7' by now, no longer ''"):
        samples.set_fields(store, "AB12", {"metadata.rig": "8"}, seen={})
    samples.set_fields(store, "AB12", {"area_cm2": "1.6"}, seen={"area_cm2": "1.5"})  # both want the same
    samples.set_fields(
        store, "AB12", {"project": "P2", "metadata.rig": ""}, seen={"project": "P1", "metadata.rig": "7"}
    )
    assert (samples.by_name("AB12").area_cm2, samples.by_name("AB12").metadata) == (1.6, {})
    with pytest.raises(NotFoundError, match="no sample is named 'AB13'"):
        samples.set_fields(store, "AB13", {"project": "P2"}, seen={"project": ""})


def test_who_changes_the_same_field_at_the_same_time_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.set_fields(store, "AB12", {"project": "P1"})
    checked = samples.checked

    def check_while_another_stores(sample: Sample) -> Sample:
        monkeypatch.setattr(samples, "checked", checked)
        samples.set_fields(store, "AB12", {"project": "P2"})
        return checked(sample)

    monkeypatch.setattr(samples, "checked", check_while_another_stores)
    with pytest.raises(ConflictError, match="somebody else changed it just now"):
        samples.set_fields(store, "AB12", {"project": "P3"}, seen={"project": "P1"})
    assert samples.by_name("AB12").project == "P2"


def test_what_was_emptied_can_be_filled_again(store: Store) -> None:
    samples.set_fields(store, "CD34", {})
    samples.set_fields(store, "AB12", {})
    for field, value in (("tags", "dry"), ("metadata.rig", "7"), ("anode", "CD34"), ("area_cm2", "1.53")):
        for before, after in (("", value), (value, ""), ("", value)):
            samples.set_fields(store, "AB12", {field: after}, seen={field: before})
    stored = samples.by_name("AB12")
    assert (stored.tags, stored.metadata, stored.anode.name, stored.area_cm2) == (["dry"], {"rig": "7"}, "CD34", 1.53)


def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    samples.set_fields(store, "AB12", {})
    samples.set_fields(store, "CD34", {})
    with pytest.raises(InvalidDocumentError, match="another sample is already named 'AB12'"):
        samples.set_fields(store, "CD34", {"name": "AB12"})


def test_a_sheet_sets_every_good_row_and_names_the_others(store: Store) -> None:
    rows = [
        {"Cell ID": "AB12", "Area (cm²)": 1.5, "Type": "full", "Supplier": ""},
        {"Cell ID": "", "Area (cm²)": 1.5, "Type": "", "Supplier": ""},
        {"Cell ID": "CD34", "Area (cm²)": "wide", "Type": "", "Supplier": ""},
        {"Cell ID": 7, "Area (cm²)": 2, "Type": "", "Supplier": "ACME"},
    ]
    done, problems = samples.set_many(store, rows)
    assert [(sample.name, sample.area_cm2) for sample in done] == [("AB12", 1.5), ("7", 2.0)]
    assert len(problems) == 2
    assert problems[0].startswith("row 2: no sample name")
    assert problems[1].startswith("row 3: Sample 'CD34': area_cm2")


def test_empty_cells_of_a_sheet_leave_what_was_set(store: Store) -> None:
    samples.set_fields(store, "AB12", {"manufacturer": "ACME"})
    samples.set_many(store, [{"name": "AB12", "manufacturer": "", "chemistry": "LFP"}])
    assert samples.by_name("AB12").manufacturer == "ACME"


def test_a_note_that_another_adds_at_the_same_time_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.set_fields(store, "AB12", {})
    look = samples.by_name
    seen = look("AB12")
    samples.add_note("AB12", "swollen", "Ada")
    monkeypatch.setattr(samples, "by_name", lambda name: seen)  # as it was before that note
    samples.add_note("AB12", "warm", "Grace")
    assert [(note.text, note.author) for note in look("AB12").notes_log] == [("swollen", "Ada"), ("warm", "Grace")]
