"""What each lesson has to have: it opens with its predictions, has a hint, and shows a view while it runs.

The functions return what is wrong with the cells of a notebook, so that they can be tried with wrong ones too.
"""

import ast
from itertools import takewhile
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager
from panel.io.notebook import EXEC_MIME

Cells = list[Any]


def faults_of_predictions(cells: Cells) -> list[str]:
    """What is wrong with the predictions: all of them are asked before anything else runs, and each is compared."""
    acting = [body for cell in cells if cell.cell_type == "code" if not _only_imports(body := _parse(cell.source))]
    opening = [name for body in takewhile(_asks, acting) for name in _asked(body)]
    later = [name for body in acting[len(list(takewhile(_asks, acting))) :] for name in _asked(body)]
    compared = [name for body in acting for name in _compared(body)]
    return [
        *([] if opening else ["it does not open with a prediction that its cell shows"]),
        *(f"{name} is asked after something ran" for name in later),
        *(f"{name} is compared {compared.count(name)} times" for name in opening if compared.count(name) != 1),
        *(f"{name} is compared and was not asked" for name in compared if name not in [*opening, *later]),
    ]


def views(cells: Cells) -> list[str]:
    """The names of the executed cells whose output is a live view of agents, with its picture."""
    return [
        cell.id
        for cell in cells
        for output in cell.get("outputs", [])
        if output.output_type in ("execute_result", "display_data")
        if EXEC_MIME in output.data and "data:image/svg+xml" in output.data.get("text/html", "")
    ]


def _parse(source: str) -> list[ast.stmt]:
    """The statements of a cell, its magics made Python."""
    plain = TransformerManager().transform_cell(source)
    return compile(plain, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).body  # type: ignore


def _only_imports(body: list[ast.stmt]) -> bool:
    return all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in body)


def _asks(body: list[ast.stmt]) -> bool:
    """Whether a cell does nothing but to make one prediction and show it."""
    last, names = body[-1], _asked(body)
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Name) and names == [last.value.id]


def _asked(body: list[ast.stmt]) -> list[str]:
    """The names of the predictions that are made."""
    return [
        target.id
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)
        if isinstance(statement.value.func, ast.Name) and statement.value.func.id == "Prediction"
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]


def _compared(body: list[ast.stmt]) -> list[str]:
    """The names on which `beside` is called in the last line, which is what a cell shows."""
    shown = body[-1].value if isinstance(body[-1], ast.Expr) else None
    call = shown.func if isinstance(shown, ast.Call) else None
    if isinstance(call, ast.Attribute) and call.attr == "beside" and isinstance(call.value, ast.Name):
        return [call.value.id]
    return []
