"""Translates FHIRHelpers 4.0.1, as the official translator ships it, into the ELM that every trial includes.

    python -m tools.translate_fhirhelpers http://127.0.0.1:8080

Needs the translator's jars (`make translator`) for the CQL, and a running translator. Errors end it with a sentence.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cds_service.errors import TranslationError
from cds_service.translation import TRANSLATOR_VERSION, stamped, translate
from tests.support.absent import Absent
from tests.support.translator import FHIR_HELPERS, fhir_helpers

TARGET = Path(__file__).resolve().parents[1] / "cds_service" / "trials" / "FHIRHelpers.elm.json"
ORIGIN = f"{FHIR_HELPERS} of info.cqframework:quick:{TRANSLATOR_VERSION} (Maven Central), Apache-2.0"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.translate_fhirhelpers TRANSLATOR-URL")
    try:
        cql = fhir_helpers()
        elm = translate({"FHIRHelpers.cql": cql.decode()}, sys.argv[1])["FHIRHelpers.cql"]
    except (Absent, TranslationError) as error:
        sys.exit(str(error))
    TARGET.write_text(stamped(elm, cql, origin=ORIGIN), encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
