"""How numba compiles stages: each is typed and lowered alone, and optimised with its kernel.

Numba optimises every function and makes machine code of it, though only the text it was lowered to
goes into its callers, where all of that is done again. Nothing but kernels calls a stage
(`rate_models.compiler.kernel`), so it ends with that text: kernels compile in a third of the time.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator"

from __future__ import annotations

import ctypes
import gc
from typing import Any

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

COLLECT = 20_000  # new objects, after which Python looks for garbage while a kernel compiles

# Where numba keeps a function for Python to call: sets a TypeError, returns NULL.
_REFUSE = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value


class _Text(JITCodeLibrary):
    """What a function and those it calls were lowered to, for callers to link."""

    def _optimize_final_module(self) -> None:
        """Left to the kernel."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is none."""
        self._ensure_finalized()
        return 0


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerToText(NativeLowering):
    _name = "lower_to_text"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = _Text(state.targetctx.codegen(), name)
        state.flags.no_compile = True
        super().run_pass(state)
        found = state["cr"]
        function = _dynfunc.make_function(
            found.fndesc.lookup_module(), name, "", _REFUSE, found.env, (state.library,)
        )
        state.targetctx.insert_user_function(function, found.fndesc, [state.library])
        state["cr"] = found._replace(cfunc=function)
        return True


class StageCompiler(CompilerBase):
    """Numba's compiler for functions that only compiled functions call."""

    def define_pipelines(self) -> list[PassManager]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [
            (_LowerToText if one is NativeLowering else one, why) for one, why in passes.passes
        ]
        passes.finalize()
        return [passes]


class KernelCompiler(Compiler):
    """Numba's compiler for functions that Python calls and that call stages."""

    def compile_extra(self, func: Any) -> Any:
        """Compile with fewer of Python's collections, which took a tenth of the time."""
        before = gc.get_threshold()
        gc.set_threshold(max(COLLECT, before[0]) if before[0] else 0, *before[1:])
        try:
            return super().compile_extra(func)
        finally:
            gc.set_threshold(*before)
