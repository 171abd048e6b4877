"""The words of the OpenAPI document. Litestar knows the types; what a field means is read where it is declared."""

import ast
import inspect
from collections.abc import Container, Iterator
from dataclasses import replace
from functools import cache
from itertools import groupby, pairwise
from operator import itemgetter

import msgspec
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    PathItem,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType

from api import cloud_events
from api.bodies import ITEMS_MAX
from api.dossiers import Found, Revealed
from api.events import REPORT
from api.feed import FeedEvent, FeedPage
from api.frozen_reports import ReportDefinition, ReportList, ReportRow
from api.health import Readiness, Unready
from api.imports import ImportAnswer, RefusedLine
from api.problems import CODES, MEANINGS, Problem
from api.purposes import PurposeList
from api.reasons import ReasonList
from api.units import ChangeList, ChangeRow, UnitList, UnitRow
from ledger import DossierState, History, HistoryEvent, Look, Looks, Reason, Receipt
from ledger.history import LevelState, UnitName
from ledger.reads import ListedPurpose
from projections import (
    AgeingAnswer,
    ChangingEvent,
    CountChange,
    Cue,
    CuesAnswer,
    GoalProgress,
    OverdueAnswer,
    Period,
    ProgressAnswer,
    ProgressRow,
    ProjectionStatus,
    ReportChanges,
    Rule,
    TimeLimit,
    TotalsAnswer,
    WorklistAnswer,
    WorklistRow,
)

TITLE = "Activation ledger"
DESCRIPTION = """\
Every collection, approval and activation of an electronic identity account, for good.

Each report has a key of the client's own: sent again, it is recorded once and answered with the first receipt.
A receipt tells its position in the ledger; a question with `after` and that position has it counted.

Problems follow RFC 9457. Programs branch on `code`, which never changes:

""" + "\n".join(
    f"- {status}: {', '.join(code for _, code in codes)}"
    for status, codes in groupby(CODES, key=itemgetter(0))
)

STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(
        ChangeList,
        ChangeRow,
        Cue,
        CuesAnswer,
        DossierState,
        FeedEvent,
        FeedPage,
        Found,
        Revealed,
        GoalProgress,
        History,
        HistoryEvent,
        ImportAnswer,
        LevelState,
        OverdueAnswer,
        Period,
        Problem,
        ProgressAnswer,
        ProgressRow,
        ProjectionStatus,
        Readiness,
        Reason,
        ReasonList,
        Receipt,
        RefusedLine,
        ChangingEvent,
        CountChange,
        ReportChanges,
        ReportDefinition,
        ReportList,
        ReportRow,
        Rule,
    ),
    *(
        TimeLimit,
        TotalsAnswer,
        UnitList,
        UnitName,
        UnitRow,
        Unready,
        AgeingAnswer,
        WorklistAnswer,
        WorklistRow,
        Look,
        Looks,
        ListedPurpose,
        PurposeList,
    ),
)
"""What is answered; Litestar makes the schemas of these."""


BEARER = "bearer"


def describe(document: OpenAPI, asked: Container[object]) -> None:
    """Give the schemas of a document their descriptions, and the one of a report its place among them.

    Args:
        asked: The ids of the operations that take a token.
    """
    assert document.components is not None
    assert document.components.schemas is not None
    schemas = document.components.schemas
    for struct in STRUCTS:
        schema = schemas[struct.__name__]
        assert isinstance(schema, Schema)
        assert schema.properties is not None
        if struct.__doc__:
            schema.description = _plain(struct.__doc__)
        told_as = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
        for name, text in _fields(struct):
            told = told_as[name]
            schema.properties[told] = replace(schema.properties[told], description=_plain(text))
    schemas["Report"] = REPORT
    schemas["CloudEvent"] = cloud_events.SCHEMA
    assert document.paths is not None
    reports = document.paths["/v1/events"].post
    assert reports is not None
    assert isinstance(reports.request_body, RequestBody)
    reports.request_body.content.update(cloud_events.contents(ITEMS_MAX))
    document.components.security_schemes = {
        BEARER: SecurityScheme(
            type="http",
            scheme="bearer",
            description="An API key, as ledger token create makes it, or an access token of the issuer.",
        )
    }
    for path in document.paths.values():
        _describe_tables(path.get)
        _secure(path, asked)


def _describe_tables(operation: Operation | None) -> None:
    """Say of a route that answers in a form that is asked for that one of them is CSV."""
    forms = [it for it in (operation and operation.parameters) or () if getattr(it, "name", "") == "format"]
    if operation is None or not forms:
        return
    assert operation.responses is not None
    answer = operation.responses["200"]
    assert isinstance(answer, OpenAPIResponse)
    assert answer.content is not None
    table = Schema(type=OpenAPIType.STRING, description="A table, its first line the names of the columns.")
    answer.content["text/csv"] = OpenAPIMediaType(schema=table)


def _secure(path: PathItem, asked: Container[object]) -> None:
    """Say of the operations of an address that they take a token, and what is answered without one that fits."""
    for method in ("get", "put", "post", "delete", "patch"):
        operation = getattr(path, method)
        if operation is None or operation.operation_id not in asked:
            continue
        operation.security = [{BEARER: []}]
        assert operation.responses is not None
        malformed = operation.responses["400"]
        assert isinstance(malformed, OpenAPIResponse)
        operation.responses |= {
            str(status): replace(malformed, description=MEANINGS[status]) for status in (401, 403)
        }


@cache
def _fields(struct: type) -> tuple[tuple[str, str], ...]:
    """Return the fields that have a string under them, with it."""
    return tuple(_read_fields(struct))


def _read_fields(struct: type) -> Iterator[tuple[str, str]]:
    for base in struct.__mro__:
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            [declared] = ast.parse(inspect.getsource(base)).body
            assert isinstance(declared, ast.ClassDef)
            for field, below in pairwise(declared.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(text))
                    ):
                        yield name, text


def _plain(text: str) -> str:
    return inspect.cleandoc(text).replace("``", "`")
