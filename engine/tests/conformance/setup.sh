#!/bin/sh
# Makes what the conformance tests need under target/, once: clients in Python, and the Autobahn suite, which only
# runs on Python 2.7. Prints what is missing and how to get it.
set -eu
target=$1
if [ ! -e "$target/venv/ready-3" ]; then
    rm -rf "$target/venv"
    python3 -m venv "$target/venv" || { echo "python3 with venv is needed: apt install python3-venv" >&2; exit 1; }
    "$target/venv/bin/pip" install --quiet 'websockets==15.0.1' 'virtualenv==20.21.1' 'schemathesis==4.32.5' \
        'websocket-client==1.9.2' 'PyJWT==2.15.1' 'msgpack==1.2.4'
    touch "$target/venv/ready-3"
fi
if [ ! -e "$target/autobahn/ready" ]; then
    python=
    for candidate in python2.7 "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
        if "$candidate" -c '' 2>/dev/null; then python=$(command -v "$candidate"); fi
    done
    [ -n "$python" ] || { echo "the Autobahn suite needs python2.7; .ci/run installs it" >&2; exit 3; }
    rm -rf "$target/autobahn"
    "$target/venv/bin/virtualenv" --quiet --python "$python" "$target/autobahn"
    "$target/autobahn/bin/pip" install --quiet --no-python-version-warning 'autobahntestsuite==0.8.2'
    touch "$target/autobahn/ready"
fi
