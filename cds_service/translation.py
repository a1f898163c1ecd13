"""CQL to ELM through a cql-translation-service: the client, and the ELM files beside a trial's CQL.

    translate(sources, url)      CQL texts by file name → ELM by file name
    translate_folder(folder, url)  writes `X.elm.json` beside every `X.cql` of a folder, all or none
    stale(folder)                what is missing, left over or older than its CQL

Errors: whatever goes wrong is one `TranslationError` whose message lists every error of the CQL with file, line and
column. A server that can't be reached or answers 502, 503 or 504 is tried again a bounded number of times; an answer
that takes too long is not. Nothing is written unless every library translated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any, Final

import requests

from cds_service.errors import TranslationError

TRANSLATOR_VERSION: Final = "3.22.0"
STAMP: Final = "cdsService"
"""Name of the top-level member beside `library` that ties an ELM file to its CQL; ELM readers ignore it."""

_PATH: Final = "/cql/translator"
_CQL: Final = "application/cql"
_ELM: Final = "application/elm+json"
_OPTIONS: Final = {
    "annotations": "false",
    "locators": "true",
    "result-types": "true",
    "signatures": "Overloads",
    "disable-list-demotion": "true",
    "disable-list-promotion": "true",
}
_RETRIED: Final = frozenset({502, 503, 504})
_PAUSES: Final = (0.5, 1.0, 2.0)
_CONNECT_SECONDS: Final = 5.0
_LINE: Final = 120
_SHOWN: Final = 200  # characters of a server's plain answer that are worth showing

# ELM elements whose place in the schema fixes their type: one writer of the translator names it, the other does not.
# Everywhere else `type` says which of several expressions, specifiers or sort items stands there and is kept.
_FIXED_TYPES: Final = frozenset(
    {
        "AliasedQuerySource",
        "CaseItem",
        "CodeDef",
        "CodeFilterElement",
        "CodeSystemDef",
        "ConceptDef",
        "ContextDef",
        "DateFilterElement",
        "ExpressionDef",
        "IncludeDef",
        "IncludeElement",
        "InstanceElement",
        "LetClause",
        "Library",
        "OperandDef",
        "OtherFilterElement",
        "ParameterDef",
        "ReturnClause",
        "AggregateClause",
        "SortClause",
        "TupleElement",
        "TupleElementDefinition",
        "UsingDef",
        "ValueSetDef",
        "VersionedIdentifier",
    }
)
# Members that hold nothing but one type, although it is an expression's elsewhere (`[]`: the items of a list).
_FIXED_MEMBERS: Final = frozenset(
    {
        ("code[]", "Code"),  # of a Concept
        ("code[]", "CodeRef"),  # of a ConceptDef
        ("codeSystem", "CodeSystemRef"),
        ("codeSystem[]", "CodeSystemRef"),
        ("codesystem", "CodeSystemRef"),
        ("denominator", "Quantity"),
        ("numerator", "Quantity"),
        ("system", "CodeSystemRef"),
        ("valueset", "ValueSetRef"),
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error of the translator. `line` and `column` start at 1; both are 0 where the translator names no place."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def translate(
    sources: Mapping[str, str],
    url: str,
    *,
    timeout: float = 120.0,
    pause: Callable[[float], None] = time.sleep,
    options: Mapping[str, str] = _OPTIONS,
) -> dict[str, dict[str, Any]]:
    """The ELM (`{"library": …}`, as the translator wrote it) of each CQL text, by the same file names.

    `url` is the service's base, such as `http://127.0.0.1:8080`; `timeout` (seconds) bounds the wait for its answer;
    `options` are the translator's. The libraries may include each other and FHIRHelpers. Raises TranslationError.
    """
    if not sources:
        raise TranslationError("There is no CQL to translate.")
    files = list(sources)
    if len(files) == 1:
        response = _post(
            url, timeout, pause, options, data=sources[files[0]].encode(), headers=_headers(single=True)
        )
        elms = [_elm(response.content, response, files[0])]
    else:
        form = [
            (f"library-{index}", (file, sources[file].encode(), _CQL)) for index, file in enumerate(files)
        ]
        response = _post(url, timeout, pause, options, files=form, headers=_headers(single=False))
        parts = _parts(response)
        if missing := [file for index, file in enumerate(files) if f"library-{index}" not in parts]:
            raise TranslationError(f"The translator at {url} returned nothing for {', '.join(missing)}.")
        elms = [_elm(parts[f"library-{index}"], response, file) for index, file in enumerate(files)]
    translated = dict(zip(files, elms, strict=True))
    if problems := _problems(translated):
        raise TranslationError(_refusal(problems))
    return translated


def translate_folder(
    folder: Path, url: str, *, includes: Sequence[Path] = (), timeout: float = 120.0
) -> list[Path]:
    """Translate every `*.cql` of `folder` and write the ELM beside it, stamped with the CQL's hash; returns the files.

    `includes` are folders whose libraries these may include; they are sent along and not written.
    """
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.cql"))}
    if not sources:
        raise TranslationError(f"{folder} holds no .cql file.")
    included = {
        path.name: path.read_text(encoding="utf-8")
        for other in includes
        for path in sorted(other.glob("*.cql"))
    }
    translated = translate(included | sources, url, timeout=timeout)
    written = []
    for name, source in sources.items():
        target = folder / f"{name.removesuffix('.cql')}.elm.json"
        target.write_text(stamped(translated[name], source.encode()), encoding="utf-8")
        written.append(target)
    return written


def stamped(elm: Mapping[str, Any], cql: bytes, **origin: str) -> str:
    """The text of an ELM file: one stable form whichever writer the translator used, and the hash of its CQL."""
    stamp = {**origin, "cql": digest(cql), "translator": translator_version(elm)}
    document = {STAMP: stamp, "library": normalised(elm["library"])}
    return _laid_out(document, 0) + "\n"


def stale(folder: Path) -> list[str]:
    """One sentence for each `.cql` of `folder` without current ELM, and for each `.elm.json` without CQL."""
    findings = []
    for cql in sorted(folder.glob("*.cql")):
        elm = cql.with_suffix(".elm.json")
        if not elm.exists():
            findings.append(f"{cql.name} has not been translated: {elm.name} is missing.")
        elif _stamped_hash(elm) != digest(cql.read_bytes()):
            findings.append(f"{elm.name} does not come from {cql.name} as it is now: translate it again.")
    for elm in sorted(folder.glob("*.elm.json")):
        if not (folder / f"{elm.name.removesuffix('.elm.json')}.cql").exists():
            findings.append(f"{elm.name} has no CQL beside it.")
    return findings


def digest(cql: bytes) -> str:
    """`sha256:…` of a CQL file; line endings count as one character, so that a checkout on Windows stays current."""
    return "sha256:" + hashlib.sha256(cql.replace(b"\r\n", b"\n")).hexdigest()


def translator_version(elm: Mapping[str, Any]) -> str:
    """The version that the translator wrote into the ELM, or `unknown`."""
    for entry in elm["library"].get("annotation", []):
        if entry.get("translatorVersion"):
            return str(entry["translatorVersion"])
    return "unknown"


def normalised(node: Any, member: str = "") -> Any:
    """ELM without what depends on the translator's writer alone: empty arrays, and `type` where the place fixes it."""
    if isinstance(node, list):
        return [normalised(item, f"{member}[]") for item in node]
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    fixed = isinstance(kind, str) and (
        kind in _FIXED_TYPES or "$" in kind or (member, kind) in _FIXED_MEMBERS
    )
    return {
        key: normalised(value, key)
        for key, value in node.items()
        if value != [] and key != STAMP and not (key == "type" and fixed)
    }


def _laid_out(node: Any, depth: int) -> str:
    """JSON with sorted keys, one line for whatever fits into one: a third of the lines, and readable differences."""
    line = json.dumps(node, sort_keys=True, ensure_ascii=False)
    if not isinstance(node, dict | list) or len(line) + depth <= _LINE:
        return line
    if isinstance(node, dict):
        items = [f"{json.dumps(key)}: {_laid_out(node[key], depth + 1)}" for key in sorted(node)]
    else:
        items = [_laid_out(item, depth + 1) for item in node]
    opening, closing = "{}" if isinstance(node, dict) else "[]"
    inner = ",\n".join(" " * (depth + 1) + item for item in items)
    return f"{opening}\n{inner}\n{' ' * depth}{closing}"


def _headers(*, single: bool) -> dict[str, str]:
    if single:
        return {"Content-Type": _CQL, "Accept": _ELM}
    return {"Accept": "multipart/form-data", "X-TargetFormat": _ELM}


def _post(
    url: str, timeout: float, pause: Callable[[float], None], options: Mapping[str, str], **request: Any
) -> requests.Response:
    """The service's answer, of status 200 or (CQL errors in a single library) 400 with ELM."""
    target = url.rstrip("/").removesuffix(_PATH) + _PATH
    response: requests.Response | None = None
    for wait in (*_PAUSES, None):
        try:
            response = requests.post(
                target,
                params=options,
                timeout=(min(_CONNECT_SECONDS, timeout), timeout),
                allow_redirects=False,
                **request,
            )
        except requests.ReadTimeout as error:
            raise TranslationError(f"The translator at {url} did not answer within {timeout:g} s.") from error
        except (requests.ConnectionError, requests.ConnectTimeout) as error:
            if wait is None:
                raise TranslationError(f"The translator at {url} can't be reached.") from error
        except requests.RequestException as error:
            raise TranslationError(f"{url} is no address of a translator: {type(error).__name__}.") from error
        else:
            if response.status_code not in _RETRIED or wait is None:
                break
        pause(wait)
    assert response is not None  # noqa: S101 - the last round of the loop breaks or raises
    is_elm = _ELM in response.headers.get("Content-Type", "")
    if response.status_code != 200 and not (response.status_code == 400 and is_elm):
        said = " ".join(response.text.split())[:_SHOWN]
        raise TranslationError(
            f"The translator at {url} answered {response.status_code}: {said or 'nothing'}"
        )
    return response


def _parts(response: requests.Response) -> dict[str, bytes]:
    """The parts of a multipart/form-data answer by their field name."""
    content_type = response.headers.get("Content-Type", "")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message: Message = BytesParser(policy=policy.HTTP).parsebytes(head + response.content)
    if not message.is_multipart():
        raise TranslationError(
            f"The translator answered {content_type or 'without a type'}, not multipart/form-data."
        )
    parts = {}
    for part in message.get_payload():
        assert isinstance(part, Message)  # noqa: S101 - what a multipart message consists of
        name = part.get_param("name", header="Content-Disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts[name] = payload
    return parts


def _elm(body: bytes, response: requests.Response, file: str) -> dict[str, Any]:
    try:
        elm = json.loads(body)
        if isinstance(elm["library"], dict):
            return {"library": elm["library"]}
    except (ValueError, KeyError, TypeError):
        pass
    raise TranslationError(
        f"The translator at {response.url.partition('?')[0]} returned no ELM JSON for {file}."
    )


def _problems(translated: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    """Every error of every part, once: an included library's error is repeated in each part that includes it."""
    file_of = {elm["library"].get("identifier", {}).get("id", file): file for file, elm in translated.items()}
    problems = set()
    for file, elm in translated.items():
        for entry in elm["library"].get("annotation", []):
            if entry.get("type") == "CqlToElmError" and entry.get("errorSeverity", "error") == "error":
                problems.add(
                    Problem(
                        file=file_of.get(entry.get("libraryId")) or file,
                        line=int(entry.get("startLine", 0)),
                        column=int(entry.get("startChar", 0)),
                        message=" ".join(str(entry.get("message", "no message")).split()),
                    )
                )
    return sorted(problems)


def _refusal(problems: list[Problem]) -> str:
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return "\n".join([f"The translator found {count} in the CQL:", *(f"  {problem}" for problem in problems)])


def _stamped_hash(elm: Path) -> str | None:
    try:
        stamp = json.loads(elm.read_text(encoding="utf-8"))[STAMP]["cql"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if isinstance(stamp, str) else None
