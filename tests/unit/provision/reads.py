"""Which fields of which classes a body of code reads, from its syntax and its type annotations.

A field counts as read where an expression of its class has the attribute, as `plan.spec.image` does for `ComputeSpec`.
Types are followed through annotations of parameters, fields, results and assignments; a container has the type of what
is in it. What cannot be followed is not counted: the answer may lack a read, but does not make one up because another
class has a field of the same name.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

Types = frozenset[str]
NOTHING: Types = frozenset()
#: Names of a container's own, which leave what is in it.
_OF_CONTAINERS = {"values", "items", "get", "setdefault", "pop", "copy", "model_copy"}


class Reads:
    """The reads of some files.

    Parameters
    ----------
    acting
        The files that act on what they read.
    also
        Further files whose classes are known; what their methods read counts where acting code uses the method.
    """

    def __init__(self, acting: Iterable[Path], also: Iterable[Path] = ()) -> None:
        acting = list(acting)
        trees = {path: ast.parse(path.read_text()) for path in [*acting, *also]}
        #: class -> attribute (field, property or method) -> the classes it may be of.
        self._members: dict[str, dict[str, Types]] = defaultdict(dict)
        self._methods: dict[tuple[str, str], ast.FunctionDef] = {}
        self._bases: dict[str, list[str]] = {}
        self._results: dict[str, Types] = {}
        self._found: set[tuple[str, str]] = set()
        classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for node in classes:
            self._bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
        for node in classes:
            self._know(node)
        for tree in trees.values():
            for item in ast.walk(tree):
                if isinstance(item, ast.FunctionDef):
                    self._results[item.name] = self._results.get(item.name, NOTHING) | self._named(item.returns)
        for node in classes:
            self._know_self(node)
        for path in acting:
            self._read(trees[path])
        self._follow_methods()

    def of(self, name: str) -> set[str]:
        """Return the attributes of a class that are read."""
        return {attribute for owner, attribute in self._found if owner == name}

    def _named(self, annotation: ast.AST | None) -> Types:
        """Return the known classes that an annotation mentions."""
        if annotation is None:
            return NOTHING
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        for node in ast.walk(annotation):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                names.add(node.value)
        return frozenset(names & set(self._bases))

    def _know(self, node: ast.ClassDef) -> None:
        members = self._members[node.name]
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                members[item.target.id] = members.get(item.target.id, NOTHING) | self._named(item.annotation)
            elif isinstance(item, ast.FunctionDef):
                members[item.name] = members.get(item.name, NOTHING) | self._named(item.returns)
                self._methods[node.name, item.name] = item

    def _know_self(self, node: ast.ClassDef) -> None:
        """Note what methods put on ``self``."""
        for item in node.body:
            if isinstance(item, ast.FunctionDef):
                scope = self._parameters(item, node.name)
                for statement in ast.walk(item):
                    targets = statement.targets if isinstance(statement, ast.Assign) else []
                    if isinstance(statement, ast.AnnAssign):
                        targets = [statement.target]
                    for target in targets:
                        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                            value = getattr(statement, "value", None)
                            types = self._type(value, scope) | self._named(getattr(statement, "annotation", None))
                            known = self._members[node.name]
                            known[target.attr] = known.get(target.attr, NOTHING) | types

    def _parameters(self, function: ast.FunctionDef, owner: str | None) -> dict[str, Types]:
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        scope = {argument.arg: self._named(argument.annotation) for argument in every}
        if owner is not None and every:
            scope[every[0].arg] = frozenset({owner})
        return scope

    def _read(self, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                self._read_function(node, None)
            elif isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        self._read_function(item, node.name)

    def _read_function(self, function: ast.FunctionDef, owner: str | None) -> None:
        scope = self._parameters(function, owner)
        # Twice: a name may be used (in a nested function) before the line that gives it its type.
        for _ in range(2):
            for node in ast.walk(function):
                self._bind(node, scope)
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._found |= {(name, node.attr) for name in self._owners(self._type(node.value, scope), node.attr)}

    def _bind(self, node: ast.AST, scope: dict[str, Types]) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind_target(target, node.value, scope)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            scope[node.target.id] = self._named(node.annotation)
        elif isinstance(node, ast.For | ast.comprehension):
            self._bind_target(node.target, node.iter, scope)
        elif isinstance(node, ast.NamedExpr):
            self._bind_target(node.target, node.value, scope)
        elif isinstance(node, ast.FunctionDef | ast.Lambda):
            for argument in node.args.args:
                if argument.annotation is not None:
                    scope[argument.arg] = self._named(argument.annotation)

    def _bind_target(self, target: ast.expr, value: ast.expr, scope: dict[str, Types]) -> None:
        if isinstance(target, ast.Tuple):
            values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
            for number, part in enumerate(target.elts):
                self._bind_target(part, values[number] if values else value, scope)
        elif isinstance(target, ast.Name):
            scope[target.id] = scope.get(target.id, NOTHING) | self._type(value, scope)

    def _owners(self, types: Iterable[str], attribute: str) -> set[str]:
        """Return the classes, of those given and their bases, that have the attribute."""
        found: set[str] = set()
        for name in types:
            if attribute in self._members[name]:
                found.add(name)
            else:
                found |= self._owners(self._bases.get(name, ()), attribute)
        return found

    def _type(self, node: ast.AST | None, scope: Mapping[str, Types]) -> Types:
        if isinstance(node, ast.Name):
            return scope.get(node.id, frozenset({node.id} & set(self._bases)))
        if isinstance(node, ast.Attribute):
            inner = self._type(node.value, scope)
            owners = self._owners(inner, node.attr)
            if any(self._returns_self(owner, node.attr) for owner in owners):
                return inner
            if owners:
                return frozenset().union(*(self._members[owner][node.attr] for owner in owners))
            return inner if node.attr in _OF_CONTAINERS else NOTHING
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id not in scope:
                if node.func.id in self._bases:
                    return frozenset({node.func.id})
                if node.func.id in self._results:
                    return self._results[node.func.id]
            if isinstance(node.func, ast.Attribute):
                return self._type(node.func, scope) or self._results.get(node.func.attr, NOTHING)
            # `sorted`, `enumerate`, `next`: of what they are given.
            return frozenset().union(*(self._type(argument, scope) for argument in node.args))
        if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
            return self._type(node.elt, scope)
        if isinstance(node, ast.DictComp):
            return self._type(node.value, scope)
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.IfExp):
            parts = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            parts = list(node.values)
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts = list(node.elts)
        elif isinstance(node, ast.Dict):
            parts = list(node.values)
        elif isinstance(node, ast.Subscript | ast.Starred | ast.Await | ast.NamedExpr):
            parts = [node.value]
        elif isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        return frozenset().union(*(self._type(part, scope) for part in parts))

    def _returns_self(self, owner: str, name: str) -> bool:
        method = self._methods.get((owner, name))
        return method is not None and isinstance(method.returns, ast.Name) and method.returns.id == "Self"

    def _follow_methods(self) -> None:
        done: set[tuple[str, str]] = set()
        while todo := {used for used in self._found if used in self._methods} - done:
            for owner, name in todo:
                self._read_function(self._methods[owner, name], owner)
            done |= todo
