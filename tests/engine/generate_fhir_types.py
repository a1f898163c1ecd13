"""Make `cds_service/elm/fhir_types.json` from the CQL translator's FHIR model info (Apache-2.0).

    python tests/engine/generate_fhir_types.py fhir-modelinfo-4.0.1.xml

The XML is inside the Maven artifact `info.cqframework:quick:3.22.0` (`org/hl7/fhir/`). Names, base types and
element types are kept; descriptions, search parameters and conversions are dropped.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

NS = "{urn:hl7-org:elm-modelinfo:r1}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
TARGET = Path(__file__).parents[2] / "cds_service" / "elm" / "fhir_types.json"


def element_type(element: ET.Element) -> str:
    """`Quantity`, `*Coding` (a list), `Quantity|string` (a choice), `System.String`."""
    if element.get("elementType"):
        return element.attrib["elementType"].removeprefix("FHIR.")
    specifier = element.find(f"{NS}elementTypeSpecifier")
    assert specifier is not None
    kind = specifier.get(XSI)
    if kind == "ListTypeSpecifier":
        if specifier.get("elementType"):
            return "*" + specifier.attrib["elementType"].removeprefix("FHIR.")
        return "*" + named(specifier[0])
    assert kind == "ChoiceTypeSpecifier", kind
    return "|".join(named(choice) for choice in specifier)


def named(node: ET.Element) -> str:
    """The qualified name of a NamedTypeSpecifier element."""
    return f"{node.get('namespace')}.{node.get('name')}".removeprefix("FHIR.")


def main(source: str) -> None:
    """Write the table."""
    types: dict[str, dict[str, object]] = {}
    codes: list[str] = []
    for info in ET.parse(source).getroot().findall(f"{NS}typeInfo"):
        name = info.attrib["name"]
        base = info.attrib["baseType"].removeprefix("FHIR.")
        elements = {e.attrib["name"]: element_type(e) for e in info.findall(f"{NS}element")}
        if name[0].isupper() and base == "Element" and elements == {"value": "System.String"}:
            codes.append(name)
            continue
        types[name] = {"base": base, "elements": elements}
        if info.get("primaryCodePath"):
            types[name]["code"] = info.attrib["primaryCodePath"]
    lines = [
        f"  {json.dumps(name)}: {json.dumps(types[name], separators=(',', ':'))}" for name in sorted(types)
    ]
    TARGET.write_text(
        '{"source": "fhir-modelinfo-4.0.1.xml of info.cqframework:quick:3.22.0, Apache-2.0",\n'
        f'"codes": {json.dumps(sorted(codes), separators=(",", ":"))},\n"types": {{\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1])
