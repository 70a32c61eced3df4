# HTTP with what the image has: curl in GitLab's, wget elsewhere.
# shellcheck shell=sh
umask 077

fail() {
	printf 'error: %s\n' "$*"
	exit 1
}

# The engine must be usable from here, too: the driver is.
engine=/var/run/docker.sock
[ -S $engine ] || fail "the engine's socket is missing in the runner's container: DOCKER_SOCKET names it on the host"
[ -w $engine ] || fail "the engine's socket is not accessible to $(id -un) in the runner's container: set DOCKER_GID to its group, $(stat -c %g $engine)"

work=$(mktemp -d) new=
trap 'rm -rf "$work" ${new:+"$new"}' EXIT

# post URL [HEADER]: posts $work/body. $status is the HTTP status, 000 when no
# answer came, for the reason in $why; the answer is in $work/answer. Secrets are
# in files, not in arguments.
post() {
	: >"$work/answer"
	printf '%s\n' 'Content-Type: application/json' ${2:+"$2"} >"$work/headers"
	if command -v curl >/dev/null; then
		authority=/etc/gitlab-runner/certs/ca.crt
		[ -f $authority ] || authority=
		status=$(curl --silent --show-error --max-time 30 ${authority:+--cacert "$authority"} --header "@$work/headers" \
			--data-binary "@$work/body" --output "$work/answer" --write-out '%{http_code}' "$1" 2>"$work/log") || true
		why=$(sed -n 's/^curl: //p' "$work/log" | tail -n 1)
		return
	fi
	timeout 30 wget -q -S -O "$work/answer" --header='Content-Type: application/json' ${2:+--header="$2"} \
		--post-file="$work/body" "$1" 2>"$work/log" || true
	status=$(sed -n 's/.*HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$work/log" | tail -n 1)
	status=${status:-000}
	why=$(sed 's/^wget: //' "$work/log" | tail -n 1)
}

# verify URL TOKEN: asks the server whether it knows the runner.
verify() {
	printf '{"token":"%s"}' "$2" >"$work/body"
	post "$1/api/v4/runners/verify"
}

# explain URL: ends with what is wrong with the answer.
explain() {
	case $status in
	000) fail "$1 is not reachable from the runner: ${why:-no answer within 30 seconds}" ;;
	404) fail "$1 is no GitLab server: it answers 404 Not Found" ;;
	*) fail "$1 answers HTTP $status" ;;
	esac
}
