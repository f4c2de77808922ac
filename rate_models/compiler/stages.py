"""How numba compiles stages: each is typed and lowered alone, and optimised with its kernel.

Numba optimises every function and compiles it to machine code, although only its LLVM IR is linked
into callers, where both are done again. Only kernels and stages call a stage
(`rate_models.compiler.kernel`), so its compilation stops at the IR: kernels compile in a third of
the time.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator"

from __future__ import annotations

import gc
from typing import Any

from numba import _dynfunc
from numba.core import typing
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

from rate_models.compiler import helper, symbols
from rate_models.compiler.cache import file_name
from rate_models.compiler.symbols import REFUSE, Text

COLLECT = 20_000  # new objects, after which Python looks for garbage while a kernel compiles


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerToText(NativeLowering):
    _name = "lower_to_text"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = Text(state.targetctx.codegen(), name)
        state.flags.no_compile = True
        super().run_pass(state)
        found = state["cr"]
        function = _dynfunc.make_function(
            found.fndesc.lookup_module(), name, "", REFUSE, found.env, (state.library,)
        )
        state.targetctx.insert_user_function(function, found.fndesc, [state.library])
        state["cr"] = found._replace(cfunc=function)
        return True


class _Code(JITCodeLibrary):
    """Machine code, once all that it calls is there."""

    def _finalize_final_module(self) -> None:
        helper.ready(symbols.called(self))
        super()._finalize_final_module()


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerToCode(NativeLowering):
    _name = "lower_to_code"

    def run_pass(self, state: Any) -> bool:
        state.library = _Code(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerToSymbol(_LowerToCode):
    _name = "lower_to_symbol"

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = True
        super().run_pass(state)
        found, target = state["cr"], state.targetctx
        name = symbols.PREFIX + file_name(state.func_id.func, state.args, target.codegen())
        signature = typing.signature(state.return_type, *state.args)
        added = symbols.add(name, target, state.library, found.fndesc, found.env, signature)
        target.insert_user_function(added.entry_point, added.fndesc, [])
        state["cr"] = found._replace(cfunc=added.entry_point)
        return True


class StageCompiler(CompilerBase):
    """Numba's compiler for functions that only compiled functions call."""

    lowering: type[NativeLowering] = _LowerToText

    def define_pipelines(self) -> list[PassManager]:
        return _pipeline(self.state, self.lowering)


class SharedCompiler(StageCompiler):
    """The same for functions that are machine code of their own, see `symbols`."""

    lowering = _LowerToSymbol


class KernelCompiler(Compiler):
    """Numba's compiler for functions that Python calls and that call stages."""

    def define_pipelines(self) -> list[PassManager]:
        return _pipeline(self.state, _LowerToCode)

    def compile_extra(self, func: Any) -> Any:
        """Compile with fewer of Python's collections, which took a tenth of the time."""
        before = gc.get_threshold()
        gc.set_threshold(max(COLLECT, before[0]) if before[0] else 0, *before[1:])
        try:
            with helper.compiling():
                return super().compile_extra(func)
        finally:
            gc.set_threshold(*before)


def _pipeline(state: Any, lowering: type[NativeLowering]) -> list[PassManager]:
    """Numba's passes with another lowering."""
    passes = DefaultPassBuilder.define_nopython_pipeline(state)
    passes.passes = [
        (lowering if one is NativeLowering else one, why) for one, why in passes.passes
    ]
    passes.finalize()
    return [passes]
