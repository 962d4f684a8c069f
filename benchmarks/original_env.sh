#!/usr/bin/env bash
# A throw-away environment in build/original-env in which the original RAVE (acids-rave) runs, to compare with.
#
# It sees the PyTorch of the Python that makes it, so that both implementations run on the same one; what the
# original needs beside that is installed here, without its own dependencies. Run it again at any time: it does
# nothing where all is in place. The original's licence forbids commercial use.
#
#   PYTHON=program   the Python of the course (default: python)
set -eu
cd "$(dirname "$0")/.."
target=build/original-env
python=${PYTHON:-python}
packages="acids-rave==2.3.1 cached-conv==2.5.0 nn-tilde==1.6.0 udls==1.1.4 einops==0.8.2 gin-config==0.5.0
    lmdb==3.0.0 GPUtil==1.4.0 pytorch-lightning==1.9.0 torchmetrics==1.9.0 lightning-utilities==0.15.3
    scikit-learn==1.9.1 threadpoolctl joblib absl-py flask blinker itsdangerous click werkzeug jinja2 markupsafe
    fsspec pyyaml requests setuptools==80.10.2"
course=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
stamp="$packages $course"

if [ -f "$target/stamp" ] && [ "$(cat "$target/stamp")" = "$stamp" ]; then
    exit 0
fi
rm -rf "$target"
mkdir -p build
"$python" -m venv "$target"
echo "$course" >"$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/course.pth"
# shellcheck disable=SC2086  # one word each
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps $packages
"$target/bin/python" benchmarks/original.py check
printf '%s' "$stamp" >"$target/stamp"
