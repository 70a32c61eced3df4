# What register and register-complete share on the host; they set $here and
# $file, the Compose file.
# shellcheck shell=sh disable=SC2154

fail() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# ask PROMPT [secret]: the answer of who sits there, in $answer.
ask() {
	[ -t 0 ] || fail "$1 is missing: give it as an argument or in the environment (see --help)"
	printf '%s: ' "$1" >&2
	if [ -n "${2:-}" ]; then
		# Nothing typed shows, also when the script is interrupted.
		trap 'stty echo; exit 1' INT TERM
		stty -echo
		read -r answer
		stty echo
		trap - INT TERM
		echo >&2
	else
		read -r answer
	fi
}

# compose ARG...: Docker Compose, of whichever generation is there.
compose() {
	# shellcheck disable=SC2086 # two words
	$COMPOSE -f "$here/$file" "$@"
}

find_compose() {
	if [ -n "${COMPOSE:-}" ]; then
		return
	elif docker compose version >/dev/null 2>&1; then
		COMPOSE='docker compose'
	elif command -v docker-compose >/dev/null; then
		COMPOSE=docker-compose
	else
		fail "neither docker compose nor docker-compose is installed"
	fi
}

# check_engine ends with one line when the engine is out of reach.
check_engine() {
	command -v docker >/dev/null || fail "docker is not installed"
	[ -z "${DOCKER_SOCKET:-}" ] || export DOCKER_HOST="${DOCKER_HOST:-unix://$DOCKER_SOCKET}"
	case ${DOCKER_HOST:-unix:///var/run/docker.sock} in
	unix://*)
		socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
		socket=${socket#unix://}
		[ -S "$socket" ] || fail "the engine's socket $socket is missing: start Docker, or set DOCKER_SOCKET"
		[ -w "$socket" ] || fail "the engine's socket $socket is not accessible to $(id -un): run this as root or as a member of its group"
		;;
	esac
	find_compose
	why=$(docker version 2>&1 >/dev/null) || fail "the Docker Engine does not answer: $(printf %s "$why" | tail -n 1)"
}

# start SERVICE...: starts what does not run yet, and waits for what it depends on.
start() {
	log=$(mktemp)
	if compose up -d "$@" >"$log" 2>&1; then
		rm -f "$log"
		return
	fi
	why=$(last_line "$log")
	taken=$(sed -n 's/.*[Bb]ind for [^ ]*:\([0-9]*\) failed: port is already allocated.*/\1/p
		s/.*[0-9]:\([0-9]*\): bind: address already in use.*/\1/p' "$log" | head -n 1)
	rm -f "$log"
	[ -z "$taken" ] || fail "port $taken of this host is taken: stop what listens there or set GITLAB_PORT"
	fail "starting $*: $why"
}

# last_line FILE: what Compose said last, which is why it ended.
last_line() { grep -v '^[[:space:]]*$' "$1" | grep -v -i 'encountered errors while bringing up' | tail -n 1; }

# in_runner SCRIPT...: runs these scripts of lib/, one after the other in one
# shell, in the runner's container, or in one like it while that does not run: the
# server is asked from where the runner will ask it, and files are written where
# it will read them. Standard
# input goes to them; what they say after "ok: " is in $answer.
in_runner() {
	code=
	for script in "$@"; do
		code="$code
$(cat "$here/lib/$script")"
	done
	how='run --rm --no-deps -T --entrypoint sh runner'
	if compose exec -T runner true </dev/null >/dev/null 2>&1; then
		how='exec -T runner sh'
	fi
	log=$(mktemp)
	# shellcheck disable=SC2086 # words
	answer=$(compose $how -c "$code" 2>"$log") || {
		why=$(printf '%s\n' "$answer" | sed -n 's/^error: //p')
		[ -n "$why" ] || why="the runner's container: $(last_line "$log")"
		rm -f "$log"
		fail "$why"
	}
	rm -f "$log"
	answer=$(printf '%s\n' "$answer" | sed -n 's/^ok: //p')
}
