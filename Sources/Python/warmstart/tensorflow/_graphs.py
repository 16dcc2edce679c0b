"""Operations of graphs that ask Warmstart when they run.

They are Python functions. TensorFlow can neither give such a function's error a class nor save the
function: an exported graph must not name a function of this process. While a graph with such an
operation lives, this module therefore gives errors their class back where Python sees them. It also
writes graphs with TensorFlow's own operation, which has the same inputs and outputs, in place of
each of ours.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

from tensorflow.python.client import session
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework import errors_impl, ops
from tensorflow.python.ops import gen_script_ops, script_ops

from . import _failures


class Stands(NamedTuple):
    """The operation that a Python function stands for: its type, its output and its attributes.

    The attribute `types`, if there is one, has the dtypes of the outputs.
    """

    kind: str
    output: str
    types: str | None
    attributes: dict[str, int]


RESTORE = Stands("RestoreV2", "tensors", "dtypes", {})


def register(graph: Any, function: Callable[..., Any], stands: Stands) -> str:
    """Registers a function for operations of a graph; returns the token by which they name it."""
    token: str = script_ops._py_funcs.insert(function)
    _hooks.attach(graph, token, stands)
    # TensorFlow refers weakly to functions; the graph in which all of them run keeps them alive.
    outer = graph
    while getattr(outer, "outer_graph", None) is not None:
        outer = outer.outer_graph
    if not hasattr(outer, "_py_funcs_used_in_graph"):
        outer._py_funcs_used_in_graph = []
    outer._py_funcs_used_in_graph.append(function)
    return token


def add(token: str, inputs: Sequence[Any], dtypes: Sequence[Any], name: str | None) -> list[Any]:
    """Adds an operation to the graph that is being built; returns its outputs."""
    outputs: list[Any] = gen_script_ops.py_func(inputs, token, list(dtypes), name=name)
    return outputs


class _Hooks:
    """The replacements in TensorFlow while a graph with one of our operations lives."""

    def __init__(self) -> None:
        # A graph may be collected, and its finalizer may run, while this very thread holds the
        # lock.
        self._lock = threading.RLock()
        self._graphs: weakref.WeakSet[Any] = weakref.WeakSet()
        self._tokens: dict[str, Stands] = {}
        self._count = 0

    def attach(self, graph: Any, token: str, stands: Stands) -> None:
        with self._lock:
            self._tokens[token] = stands
            if graph in self._graphs:
                return
            self._graphs.add(graph)
            self._count += 1
            weakref.finalize(graph, self._detach).atexit = False
            if self._count == 1:
                self._replace()

    def _detach(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._tokens.clear()
                self._put_back()

    def _replace(self) -> None:
        own_call = session.BaseSession._do_call
        own_exit = atomic_function.InterpolateRuntimeError.__exit__
        own_graph_def = ops.Graph._as_graph_def

        def do_call(this: Any, fn: Any, *args: Any) -> Any:
            try:
                return own_call(this, fn, *args)
            except errors_impl.UnknownError as error:
                # Asked twice: an error in a local of the function that raises it would keep itself.
                if _failures.of_message(error) is error:
                    raise
                raise _failures.of_message(error) from None

        def leave(this: Any, kind: Any, error: Any, traceback: Any) -> Any:
            result = own_exit(this, kind, error, traceback)
            if _failures.of_message(error) is error:
                return result
            raise _failures.of_message(error) from None

        def as_graph_def(this: Any, *args: Any, **options: Any) -> Any:
            graph_def, version = own_graph_def(this, *args, **options)
            self._rewrite(graph_def)
            return graph_def, version

        self._own = (
            (session.BaseSession, "_do_call", do_call, own_call),
            (atomic_function.InterpolateRuntimeError, "__exit__", leave, own_exit),
            (ops.Graph, "_as_graph_def", as_graph_def, own_graph_def),
        )
        for place, name, ours, _ in self._own:
            setattr(place, name, ours)

    def _put_back(self) -> None:
        for place, name, ours, own in self._own:
            if getattr(place, name) is ours:
                setattr(place, name, own)

    def _rewrite(self, graph_def: Any) -> None:
        """Replaces our operations by TensorFlow's own."""
        for node in graph_def.node:
            self._restore_node(node)
        for function in graph_def.library.function:
            outputs = {}
            for node in function.node_def:
                stands = self._restore_node(node)
                if stands is not None:
                    outputs[node.name] = stands.output
            if not outputs:
                continue
            for node in function.node_def:
                for position, name in enumerate(node.input):
                    node.input[position] = _renamed(name, outputs)
            for key, name in function.ret.items():
                function.ret[key] = _renamed(name, outputs)

    def _restore_node(self, node: Any) -> Stands | None:
        if node.op != "PyFunc":
            return None
        stands = self._tokens.get(node.attr["token"].s.decode())
        if stands is None:
            return None
        node.op = stands.kind
        if stands.types is not None:
            node.attr[stands.types].CopyFrom(node.attr["Tout"])
        for name in ("token", "Tin", "Tout"):
            del node.attr[name]
        for name, value in stands.attributes.items():
            node.attr[name].i = value
        return stands


def _renamed(reference: str, outputs: dict[str, str]) -> str:
    """Returns a reference to a node's output within a function, NODE:OUTPUT:NUMBER."""
    parts = reference.split(":")
    if len(parts) == 3 and parts[0] in outputs:
        parts[1] = outputs[parts[0]]
    return ":".join(parts)


_hooks = _Hooks()
