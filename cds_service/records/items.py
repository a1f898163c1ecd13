"""What medications, orders, deliveries and devices in use are of: references resolved, one concept each.

After this step (clinical specification §2.8):

- every MedicationRequest, -Statement, -Administration and -Dispense carries `medicationCodeableConcept`: its own,
  that of the Medication it refers to (with those of the ingredients, and the words of the form), or the
  reference's `display` as text. Its words stand beside it as codings (`words`), the names of the drugs too, and
  those of each `route`;
- every DeviceRequest carries `codeCodeableConcept`, every SupplyDelivery `suppliedItem.itemCodeableConcept`;
- `device.reference` of every DeviceUseStatement is `Device/{id}` of a Device of the record: one that does not
  resolve, or leads to a Device of which nothing tells what it is, gets a Device made of its `display`.

What cannot be read (no concept, a reference that leads nowhere and has no words; a drug coded only by codes in no
value set, without words) gets the coding `ambiguous-code` of the reading problems: it may be anything. A Medication
or Device entered in error is none. Resources have been tidied before; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cds_service.records.observations import inherited_meta, tag
from cds_service.records.versions import UNKNOWN_MODIFIER, with_tag
from cds_service.records.words import Words, is_named, is_text, texts
from cds_service.terminology.systems import READING_PROBLEM

Resource = dict[str, Any]
Concept = dict[str, Any]

MEDICATIONS: Final = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "MedicationDispense",
)
UNREADABLE_ITEM: Final = {"system": READING_PROBLEM, "code": "ambiguous-code"}
# What the record's references to items lead to, and where each type of it keeps its concept.
_CONCEPTS: Final = {"Medication": "code", "Substance": "code", "Device": "type"}
_OF_USE: Final = ("status", "timingDateTime", "timingPeriod", "recordedOn")
_DOSAGES: Final = ("dosageInstruction", "dosage")


class Items:
    """Resolves the items of one record. `resources` are its resources by type, contained ones taken out."""

    def __init__(self, resources: Mapping[str, list[Resource]], words: Words) -> None:
        self._resources = resources
        self._words = words
        self._index: dict[str, Resource] | None = None
        self._device_ids: set[Any] | None = None
        self.found: list[Resource] = []  # what references led to, until the caller clears it

    # --- medications ----------------------------------------------------------------------------------------

    def medication(self, resource: Resource) -> Resource:
        """The medication resource with its drug as a concept, the drug's words and those of its routes read."""
        if "medication" in resource:  # no element of R4: what it holds must not be taken for the concept
            resource = {key: value for key, value in resource.items() if key != "medication"}
        given: Concept | None = resource.get("medicationCodeableConcept")
        reference = resource.get("medicationReference")
        if given is not None and reference is None and self._words.is_readable(given):
            concept = self._words.form(self._words.said_of_drug(given))
            new = resource if concept is given else {**resource, "medicationCodeableConcept": concept}
            return self._with_routes(new)
        parts = [] if given is None else [given]
        medication = self._find(reference, "Medication")
        forms: list[str] = []
        if medication is not None:
            parts += self._concepts_of(medication)
            forms += texts(medication.get("form", {}))
        if not any(self._words.is_readable(part) for part in parts):
            display = reference.get("display") if isinstance(reference, dict) else None
            parts.append({"text": display} if is_text(display) else {"coding": [dict(UNREADABLE_ITEM)]})
        concept = self._words.form(_merged([self._words.said_of_drug(part) for part in parts]), forms)
        new = {**resource, "medicationCodeableConcept": concept}
        return self._with_routes(_derived(new, medication, "medicationReference"))

    def _concepts_of(self, medication: Resource) -> Iterator[Concept]:
        if "code" in medication:
            yield medication["code"]
        for ingredient in medication.get("ingredient", ()):
            if "itemCodeableConcept" in ingredient:
                yield ingredient["itemCodeableConcept"]
            reference = ingredient.get("itemReference")
            item = self._find(reference, "Substance", "Medication")
            if item is not None and "code" in item:
                yield item["code"]
            elif reference is not None and is_text(reference.get("display")):
                yield {"text": reference["display"]}

    def _with_routes(self, resource: Resource) -> Resource:
        """With the codings of the words of each dosage's route."""
        for key in _DOSAGES:
            dosage = resource.get(key)
            if isinstance(dosage, dict):
                changed = self._with_route(dosage)
                if changed is not dosage:
                    resource = {**resource, key: changed}
            elif isinstance(dosage, list):
                parts = [self._with_route(part) for part in dosage]
                if any(new is not old for new, old in zip(parts, dosage, strict=True)):
                    resource = {**resource, key: parts}
        return resource

    def _with_route(self, dosage: Resource) -> Resource:
        route = dosage.get("route")
        if route is None:
            return dosage
        changed = self._words.form(route)
        return dosage if changed is route else {**dosage, "route": changed}

    # --- devices, orders and deliveries -----------------------------------------------------------------------

    def device_use(self, use: Resource) -> tuple[Resource, Resource | None]:
        """(the DeviceUseStatement, the Device that stands in for one that does not resolve or tells nothing).

        A use entered in error says nothing, so nothing stands in for its device.
        """
        reference = use.get("device")
        found = self._find(reference, "Device")
        if use.get("status") == "entered-in-error" or (found is not None and _tells_what(found)):
            return use, None
        concept = _of_display(reference)
        # It is shown as the use that it comes from: with that one's status and dates.
        own: Resource = {key: use[key] for key in _OF_USE if key in use}
        stand_in = {"resourceType": "Device", "id": self._device_id(use), "type": concept, **own}
        if "text" in concept:
            stand_in["meta"] = inherited_meta(use, "reference")
        elif "meta" in use:
            stand_in["meta"] = use["meta"]
        return {**use, "device": {**(reference or {}), "reference": f"Device/{stand_in['id']}"}}, stand_in

    def _device_id(self, use: Resource) -> str:
        """An id for the Device that stands in, which no Device of the record has."""
        if self._device_ids is None:
            self._device_ids = {device.get("id") for device in self._resources.get("Device", ())}
        found = f"{use.get('id', '')}-device"
        while found in self._device_ids:
            found += "-2"
        self._device_ids.add(found)
        return found

    def order(self, request: Resource) -> Resource:
        """The DeviceRequest with its device as a concept."""
        found = self._item(request, "codeCodeableConcept", "codeReference")
        return request if found is None else _derived({**request, **found[0]}, found[1], "codeReference")

    def delivery(self, delivery: Resource) -> Resource:
        """The SupplyDelivery with its item as a concept."""
        supplied = delivery.get("suppliedItem", {})
        found = self._item(supplied, "itemCodeableConcept", "itemReference")
        if found is None:
            return delivery
        supplied = {key: value for key, value in {**supplied, **found[0]}.items() if key != "itemReference"}
        return _derived({**delivery, "suppliedItem": supplied}, found[1])

    def _item(self, holder: Resource, own: str, referring: str) -> tuple[Resource, Resource | None] | None:
        """({own: concept}, the resource referred to); None where the holder has its concept and nothing else."""
        reference = holder.get(referring)
        if reference is None and own in holder:
            return None
        parts = [holder[own]] if own in holder else []
        item = self._find(reference, *_CONCEPTS)
        if item is not None:
            parts += _concepts_of_item(item)
        return {own: _merged(parts) if parts else _of_display(reference)}, item

    # --- references -------------------------------------------------------------------------------------------

    def _find(self, reference: Any, *kinds: str) -> Resource | None:
        """The resource of one of these types that a reference leads to, unless it was entered in error."""
        target = reference.get("reference") if isinstance(reference, dict) else None
        if target is None or target.partition("/")[0] not in kinds:
            return None
        if self._index is None:
            self._index = {
                f"{kind}/{item['id']}": item
                for kind in _CONCEPTS
                for item in self._resources.get(kind, ())
                if item.get("status") != "entered-in-error" and "id" in item
            }
        item = self._index.get(target)
        if item is not None:
            self.found.append(item)
        return item


def _concepts_of_item(item: Resource) -> Iterable[Concept]:
    concept = item.get(_CONCEPTS[item["resourceType"]])
    if concept is not None:
        yield concept
    for name in device_names(item):
        yield {"text": name}


def _tells_what(item: Resource) -> bool:
    return any(is_named(concept) for concept in _concepts_of_item(item))


def device_names(device: Resource) -> list[str]:
    """The names of a Device, beside its type."""
    return [entry["name"] for entry in device.get("deviceName", ()) if "name" in entry]


def _of_display(reference: Any) -> Concept:
    display = reference.get("display") if isinstance(reference, dict) else None
    return {"text": display} if is_text(display) else {"coding": [dict(UNREADABLE_ITEM)]}


def _merged(concepts: list[Concept]) -> Concept:
    """One concept of several: all codings; the first text as its text, further ones as displays."""
    first, *others = concepts
    if not others:
        return first
    codings: list[dict[str, str]] = []
    text = None
    for concept in concepts:
        codings += [coding for coding in concept.get("coding", ()) if coding not in codings]
        if "text" in concept:
            if text is None:
                text = concept["text"]
            else:
                codings.append({"display": concept["text"]})
    merged: Concept = {"coding": codings} if codings else {}
    return merged if text is None else {**merged, "text": text}


def _derived(resource: Resource, item: Resource | None, referring: str = "") -> Resource:
    """Without its reference; marked as derived where words or codes came by it, and with the item's doubts."""
    new = {key: value for key, value in resource.items() if key != referring}
    if item is not None:
        new["meta"] = with_tag(new.get("meta"), tag("reference"))
        if UNKNOWN_MODIFIER in item.get("meta", {}).get("tag", ()):
            new["meta"] = with_tag(new["meta"], UNKNOWN_MODIFIER)
    return new
