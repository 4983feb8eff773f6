"""Models as their exporters write them: pipelines and trees out of scikit-learn, LightGBM and XGBoost.

    python exported_models.py DIRECTORY CLASSIFIER

runs in an environment of its own with `REQUIREMENTS`, which the project does not need; `write_all` makes it. What ONNX
Runtime's optimizer and its quantizer to 4 bits make of a text classifier is written, too: both need more packages than
ONNX Runtime itself.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REQUIREMENTS = ("lightgbm", "onnx-ir", "onnxmltools", "onnxruntime", "pandas", "scikit-learn", "skl2onnx", "sympy")
_XGBOOST = "xgboost"


def write_all(directory: Path, classifier: Path) -> dict[Path, str]:
    """Make the environment, write the models into a directory, and return their kinds.

    Args:
        classifier: the text classifier for the optimizer and the quantizer.
    """
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        python = f"{scratch}/bin/python"
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *REQUIREMENTS], check=True)
        # XGBoost requires a library for GPUs, of 300 MB, which it does without on a processor.
        subprocess.run([*install, "--no-deps", _XGBOOST], check=True)
        done = subprocess.run(
            [python, __file__, str(directory), str(classifier)], check=True, stdout=subprocess.PIPE, text=True
        )
    pairs = (line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    return {directory / f"{name}.onnx": kind for name, kind in pairs}


def _passengers() -> tuple[Any, Any]:
    """Return a table of numbers with gaps and of texts, and a class, 0 or 1, of each row."""
    import numpy as np
    import pandas as pd

    random, rows = np.random.default_rng(0), 300
    table = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.1, np.nan, random.uniform(1, 80, rows)).astype(np.float32),
            "fare": random.uniform(5, 300, rows).astype(np.float32),
            "sex": random.choice(["male", "female"], rows),
            "port": random.choice(["S", "C", "Q"], rows),
        }
    )
    truth = (table.sex == "female").to_numpy() ^ (random.random(rows) < 0.2)
    return table, truth.astype(int)


def _pipelines() -> Iterator[tuple[str, str, Any]]:
    """Yield the names, kinds and models out of scikit-learn."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier, IsolationForest, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.svm import SVC

    table, truth = _passengers()
    texts = ["sex", "port"]
    numbers = table[["age", "fare"]].to_numpy()
    columns = [
        (name, StringTensorType([None, 1]) if name in texts else FloatTensorType([None, 1])) for name in table.columns
    ]
    mixed = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
        ]
    )
    no_zipmap = {"zipmap": False}

    def with_texts(model: Any) -> Any:
        fitted = make_pipeline(mixed, model).fit(table, truth)
        return to_onnx(fitted, initial_types=columns, options={id(model): no_zipmap}, target_opset=17)

    yield "trees_with_texts", "trees with text inputs", with_texts(GradientBoostingClassifier(n_estimators=50))
    yield "pipeline_with_texts", "pipeline with text inputs", with_texts(LogisticRegression())
    numeric = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(numbers, truth)
    title = "imputer, scaler, classifier"
    off = {LogisticRegression: no_zipmap}
    yield "pipeline", title, to_onnx(numeric, numbers[:1], options=off, target_opset=17)
    yield "pipeline_zipmap", f"{title}; ZipMap on", to_onnx(numeric, numbers[:1], target_opset=17)
    full = SimpleImputer().fit_transform(numbers).astype("float32")
    forest = RandomForestClassifier(n_estimators=100, max_depth=8).fit(full, truth)
    off = {RandomForestClassifier: no_zipmap}
    yield "random_forest", "100 trees", to_onnx(forest, full[:1], options=off, target_opset=17)
    outliers = IsolationForest(n_estimators=50).fit(full)
    opsets = {"": 17, "ai.onnx.ml": 3}
    yield "isolation_forest", "outliers by trees", to_onnx(outliers, full[:1], target_opset=opsets)
    machine = SVC(probability=True).fit(full, truth)
    yield "svm", "support vector machine", to_onnx(machine, full[:1], options={SVC: no_zipmap}, target_opset=17)
    words = [f"{sex} from {port}" for sex, port in zip(table.sex, table.port, strict=True)]
    model = LogisticRegression()
    # The locale of skl2onnx is en_US, which slim systems lack.
    vectorizer = TfidfVectorizer()
    fitted = make_pipeline(vectorizer, model).fit(words, truth)
    options = {id(model): no_zipmap, id(vectorizer): {"locale": "C.UTF-8"}}
    types = [("text", StringTensorType([None]))]
    yield "tfidf", "words to a class (TF-IDF)", to_onnx(fitted, initial_types=types, options=options, target_opset=17)


def _boosted() -> Iterator[tuple[str, str, Any]]:
    """Yield the names, kinds and models out of LightGBM and XGBoost."""
    from lightgbm import LGBMClassifier
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBRegressor

    table, truth = _passengers()
    numbers = table[["age", "fare"]].to_numpy()
    types = [("x", FloatTensorType([None, 2]))]
    light = LGBMClassifier(n_estimators=100, verbose=-1).fit(numbers, truth)
    yield "lightgbm", "LightGBM", convert_lightgbm(light, initial_types=types, zipmap=False, target_opset=15)
    extreme = XGBRegressor(n_estimators=100).fit(numbers, truth)
    yield "xgboost", "XGBoost", convert_xgboost(extreme, initial_types=types, target_opset=15)


def _derived(classifier: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield what ONNX Runtime's optimizer, and its quantizer to 4 bits, make of a text classifier."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.transformers.optimizer import optimize_model

    fused = optimize_model(str(classifier), model_type="bert", num_heads=4, hidden_size=256, opt_level=0)
    yield "text_classifier_fused", "text classifier, fused by ONNX Runtime", fused.model
    quantizer = MatMulNBitsQuantizer(onnx.load(classifier), block_size=32, is_symmetric=True)
    quantizer.process()
    yield "text_classifier_int4", "text classifier, weights of 4 bits", quantizer.model.model


def main() -> None:
    import onnx

    directory, classifier = map(Path, sys.argv[1:])
    directory.mkdir(parents=True, exist_ok=True)
    for models in (_pipelines(), _boosted(), _derived(classifier)):
        for name, kind, model in models:
            onnx.save(model, directory / f"{name}.onnx")
            print(f"{name}\t{kind}", flush=True)


if __name__ == "__main__":
    main()
