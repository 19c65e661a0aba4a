"""Every code that the edge can say, collected from its source: what a resident reads must have words for each.

A code is a text in a certain place of a certain call, such as the first argument of ``Narrowing``. What stands there
is followed through conditions, names, tables and functions of the same file; what cannot be followed is told.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# A text with a gap, such as f"charger_{state}"; the test says what may stand there.
GAP = "*"

type Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Place:
    """An argument of a call that holds a code: by position or by name."""

    position: int
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """The codes of one file, and the lines where a code could not be followed."""

    codes: frozenset[str] = frozenset()
    unclear: tuple[str, ...] = ()


@dataclass(slots=True)
class _File:
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    tables: dict[str, ast.expr] = field(default_factory=dict)
    classes: dict[str, dict[str, ast.expr]] = field(default_factory=dict)


def codes_of(source: str, places: Mapping[str, Place], passes_on: frozenset[str] = frozenset()) -> Found:
    """All codes that stand at ``places`` in the source. Functions in ``passes_on`` hand over codes made elsewhere."""
    file = _read(source)
    codes: set[str] = set()
    unclear: list[str] = []
    for function, call in _calls(file.tree):
        place = places.get(_called(call))
        name = function.name if function else ""
        if place is None or name in passes_on:
            continue
        argument = _argument(call, place)
        if argument is None or _is_handed_on(argument, place, function):
            continue
        texts = frozenset(_texts(argument, function, file))
        codes |= texts
        if not texts:
            unclear.append(f"line {call.lineno}: {ast.unparse(argument)}")
    return Found(frozenset(codes), tuple(unclear))


def compared_with(source: str, name: str) -> frozenset[str]:
    """The texts that a variable is compared with."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == name:
            found |= {
                leaf.value
                for side in node.comparators
                for leaf in ast.walk(side)
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
            }
    return frozenset(found)


def _read(source: str) -> _File:
    file = _File(ast.parse(source))
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            file.functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            file.classes[node.name] = dict(_assigned(node.body))
    file.tables.update(_assigned(file.tree.body))
    return file


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _calls(tree: ast.AST, function: Function | None = None) -> Iterator[tuple[Function | None, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield function, node
        inside = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _calls(node, inside)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _argument(call: ast.Call, place: Place) -> ast.expr | None:
    if len(call.args) > place.position:
        return call.args[place.position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == place.name), None)


def _is_handed_on(argument: ast.expr, place: Place, function: Function | None) -> bool:
    """A parameter of the function around it, or ``error.code``: where it was made is looked at instead."""
    if isinstance(argument, ast.Attribute) and argument.attr == place.name:
        return True
    if function is None or not isinstance(argument, ast.Name):
        return False
    return argument.id in {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}


def _texts(node: ast.expr, function: Function | None, file: _File) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in parts)
        case _:
            for behind, where in _behind(node, function, file):
                yield from _texts(behind, where, file)


def _behind(node: ast.expr, function: Function | None, file: _File) -> Iterator[tuple[ast.expr, Function | None]]:
    """The expressions that this one may stand for, each with the function in which it stands."""
    match node:
        case ast.IfExp(body=one, orelse=other):
            yield from ((one, function), (other, function))
        case ast.BoolOp(values=values) | ast.Dict(values=values):
            yield from ((value, function) for value in values)
        case ast.Name(id=name):
            yield from ((value, function) for value in _named(name, function, file))
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if name in file.classes.get(owner, {}):
            yield file.classes[owner][name], None
        case ast.Subscript(value=table):
            yield table, function
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, *defaults]):
            yield from ((value, function) for value in (table, *defaults))
        case ast.Call(func=ast.Name(id=name)) if name in file.functions:
            yield from ((value, file.functions[name]) for value in _returned(file.functions[name]))


def _named(name: str, function: Function | None, file: _File) -> list[ast.expr]:
    local = [node for node in ast.walk(function) if isinstance(node, ast.Assign)] if function else []
    values = [node.value for node in local if any(_is_named(target, name) for target in node.targets)]
    return values or [table for known, table in file.tables.items() if known == name]


def _is_named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _returned(function: Function) -> list[ast.expr]:
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return [value for value in returns if value is not None]
