# Sourced by each finding: makes a temporary folder with a Python environment of its own, which goes
# when the script ends.
#
#   packages NAME==VERSION ...   installs packages from the ordinary index into the environment
#   python                       runs the Python program on standard input, in the folder
#
# Status 0: all was seen as described. 1: something differs. 2: the packages could not be installed.
set -eu
library=$(cd "$(dirname "$0")/lib" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM

packages() {
  python3 -m venv --clear "$folder/environment" || exit 2
  [ $# -eq 0 ] || "$folder/environment/bin/pip" install \
    --quiet --no-cache-dir --no-compile --disable-pip-version-check "$@" || exit 2
}

# What a framework logs is shown only if the program fails.
python() {
  (
    cd "$folder"
    exec env PYTHONPATH="$library" PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 \
      CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu environment/bin/python - 2>log
  ) && return
  sed 's/^/  /' "$folder/log" >&2
  exit 1
}
