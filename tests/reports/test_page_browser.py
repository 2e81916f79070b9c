"""The page in a real browser, where one is installed: it draws, sorts, filters, prints, and requests nothing."""

import base64
from dataclasses import replace

import pytest
from devtools import BROWSER, visited
from stored import record

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.reports.page.document import gathered, html
from upliftlens.benchmarks.runs.records import Summary
from upliftlens.benchmarks.runs.store import Store, save_run

QUESTION = """
const until = async (met) => { while (!met()) await new Promise((next) => setTimeout(next, 20)); };
await until(() => document.documentElement.hasAttribute("data-drawn"));
const count = (selector) => document.querySelectorAll(selector).length;
const table = document.querySelector("table.board");
const button = [...table.querySelectorAll("button")].find((each) => each.textContent === "rmse");
const head = button.closest("th");
const values = () => [...table.tBodies].map((body) => Number(body.querySelector('td[data-head="rmse"]').dataset.value));
const rows = () => [...table.tBodies].filter((body) => body.getClientRects().length);
const models = () => rows().map((body) => body.dataset.model);
const input = (element, value) => {
  element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
};
const answer = { charts: count(".chart svg"), figures: count("figure"), first: values() };
button.click();
answer.ascending = [head.getAttribute("aria-sort"), values()];
button.click();
answer.descending = [head.getAttribute("aria-sort"), values()];
input(document.getElementById("words"), "mf 0.003");
answer.left = [models(), document.getElementById("count").textContent];
input(document.getElementById("words"), "");
input(document.querySelector('select[data-filter="model"]'), "ease");
answer.ease = models();
table.querySelector("tbody:not([hidden]) details").open = true;
await until(() => table.querySelector("button.copy"));
answer.command = table.querySelector("tbody:not([hidden]) .command code").textContent;
answer.wider = document.documentElement.scrollWidth - innerWidth;
return answer;
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of three fits of mf and two of ease."""
    folder = tmp_path_factory.mktemp("browser")
    epochs = tuple({"epoch": number, "loss": 1 / number, "validation": 1.5 / number} for number in range(1, 9))
    for number, rmse in enumerate((0.95, 0.91, 1.02, 0.93, 0.9)):
        metrics = {"rmse": Summary(rmse, rmse - 0.01, rmse + 0.01, 9), "ndcg@10": Summary(1 - rmse, 0.0, 0.2, 9)}
        run = record(f"{number:016x}", train_lr=0.001 * (number + 1), epochs=epochs, metrics=metrics)
        model = "mf" if number < 3 else "ease"
        config = configured([f"model={model}", f"train.lr={0.001 * (number + 1)}"]).content
        run = replace(run, model=model, config=config, loss="squared" if model == "mf" else None)
        run = replace(run, diagnostics={"monitor": "rmse"})
        save_run(Store(folder / "runs"), run, {})
    (folder / "page.html").write_text(html(gathered(Store(folder / "runs"), [], [])))
    return folder / "page.html"


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_draws_sorts_filters_and_prints(width, page, tmp_path):
    there = visited(page, width, QUESTION, tmp_path)
    assert there["requests"] == [page.as_uri()] and there["complaints"] == []
    answer = there["answer"]
    assert answer["charts"] == answer["figures"] == 3  # scatter, curves, robustness
    assert answer["first"] == [0.9, 0.91, 0.93, 0.95, 1.02], "by ndcg@10, the highest first"
    assert answer["ascending"] == ["ascending", sorted(answer["first"])]
    assert answer["descending"] == ["descending", sorted(answer["first"], reverse=True)]
    assert answer["left"] == [["mf"], "1 of 5 methods"]
    assert answer["ease"] == ["ease", "ease"]
    assert answer["command"].startswith("upliftlens run data=synthetic model=ease")
    assert answer["wider"] <= 0, "nothing is wider than the window"
    assert base64.b64decode(there["pdf"]).startswith(b"%PDF")
