"""A file in the layout of the paper's numbers, in which every number is invented."""

import json
from pathlib import Path
from typing import Any

METHODS = ("GCNReImp", "En-Dev", "LMS", "100-Target", "All-Target")


def scores(task: str, language: str, base: float, **others: Any) -> dict[str, Any]:
    """A row in which the selectors are half a point apart."""
    return {
        "task": task,
        "lang": language,
        "ref": base - 1,
        "en_dev": base,
        "pivot_dev": base + 0.5,
        "pivot_lang": "de",
        "pivot_sig": False,
        "lms": base + 1,
        "lms_sig": True,
        "target100": base + 1.5,
        "all_target": base + 2,
        "n_all_target": 777,
        **others,
    }


def deltas(task: str, **others: float) -> dict[str, Any]:
    return {"task": task, "en_dev": 0.0, "pivot_dev": 0.5, "lms": 1.3, "target100": 1.5, "all_target": 2.0, **others}


def methods(names: tuple[str, ...], base: float) -> list[dict[str, Any]]:
    return [
        {"method": name, "re_ar": base + i, "re_zh": base + 5 + i, "arl_ar": base + 10 + i, "arl_zh": base + 15 + i}
        for i, name in enumerate(names)
    ]


def contents() -> dict[str, Any]:
    sds = {f"{column}_sd": 0.25 for column in ("en_dev", "pivot_dev", "lms", "target100", "all_target")}
    features = {"en_dev": 21.0, "eng": 22.0, "pivot": 23.0, "target": 24.0, "fusion": 25.0}
    vectors = {"en_dev": 21.0, "lang2vec": 26.0, "syntax": 27.0, "none": 28.0}
    return {
        "table3": [scores("POS", "sv", 10.0), scores("POS", "fa", 12.0, ref=None), scores("QA", "hi", 14.0)],
        "table3_avg_en_dev_delta": [deltas("POS"), deltas("QA")],
        "table4": [scores("POS", "sv", 16.0)],
        "table4_avg_en_dev_delta": [deltas("POS", lms=0.9)],
        "table5": [{"task": "POS", **features}, {"task": "Avg", **{key: one + 10 for key, one in features.items()}}],
        "table6": [{"task": "POS", **vectors}],
        "table8_extra": methods(METHODS, 30.0),
        "table9": [scores("POS", "sv", 18.0, **sds)],
        "table10": methods(("GCNReImp", "mBERT", *METHODS[1:]), 60.0),
        "table11": [{"task": "RE", "en_dev": 21.0, "pivot_lang2vec": 22.5, "multi_task": 23.5}],
        "meta": {"significance": {"table3/4": "** p<0.05, some bootstrap", "table9": "* p<=0.05, some test"}},
        "consistency": {
            "table3": [
                {"task": "POS", "n": 2, "col": "lms", "printed": 1.3, "recomputed": 1.0, "within_rounding": False},
                {"task": "POS", "n": 2, "col": "all_target", "printed": 2, "recomputed": 2.03, "within_rounding": True},
            ],
            "table4": [],
            "table5": [
                {"col": "eng", "printed": 32.0, "recomputed": 31.2},
                {"col": "pivot", "printed": 33.0, "recomputed": 33.004},
            ],
            "table6": [],
            "table9": {
                "text_lms_minus_en": 1.0,
                "recomputed": 1.002,
                "text_lms_minus_pivot": 0.7,
                "recomputed_lms_minus_pivot": 0.5,
            },
        },
        "anomalies": ["Table 1 lists <i>vi</i>; Table 3 does not.", "Some sets are small."],
    }


def paper_file(folder: Path, **changes: Any) -> Path:
    path = folder / "paper.json"
    path.write_text(json.dumps(contents() | changes))
    return path
