# Creates a runner at $GITLAB_URL with the personal access token on standard
# input, and says its authentication token; nothing when config.toml has a runner
# there that the server knows.
# shellcheck shell=sh disable=SC2154
IFS= read -r private
url=$GITLAB_URL config=/etc/gitlab-runner/config.toml
if [ -s $config ]; then
	awk -v url="$url" '
		/^\[\[runners\]\]/ { here = 0 }
		$1 == "url" { gsub(/"/, "", $3); here = ($3 == url) }
		$1 == "token" && here { gsub(/"/, "", $3); print $3 }' $config >"$work/known"
	while IFS= read -r token; do
		verify "$url" "$token"
		if [ "$status" = 200 ]; then
			printf 'ok: %s\n' "$url"
			exit
		fi
	done <"$work/known"
fi

printf '{"runner_type":"instance_type","run_untagged":true,"description":"gitlab-ecr-executor"}' >"$work/body"
post "$url/api/v4/user/runners" "PRIVATE-TOKEN: $private"
case $status in
201) ;;
401) fail "$url does not know this personal access token" ;;
403) fail "$url does not let this personal access token create runners: it needs the scope create_runner, of an administrator" ;;
*) explain "$url" ;;
esac
token=$(sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p' "$work/answer")
[ -n "$token" ] || fail "$url created a runner, but its answer has no token"
printf 'ok: %s %s\n' "$url" "$token"
