# Verifies the runner of the config.toml on standard input, and writes that file
# or adds its runner to the one that is there.
# shellcheck shell=sh disable=SC2154
config=/etc/gitlab-runner/config.toml
new=$(mktemp $config.XXXXXX) # beside it: a rename is atomic in one file system
cat >"$new"
value() { sed -n "s/^ *$1 = \"\(.*\)\"\$/\1/p" "$new"; }
url=$(value url) token=$(value token)

verify "$url" "$token"
case $status in
200) ;;
401 | 403 | 422) fail "$url does not know this token: take the authentication token (glrt-...) of a runner" ;;
*) explain "$url" ;;
esac

if [ ! -s $config ]; then
	mv -f "$new" $config
	printf 'ok: registered at %s\n' "$url"
	exit
fi
printf 'token = "%s"\n' "$token" >"$work/token"
printf 'url = "%s"\n' "$url" >"$work/url"
chmod 600 $config
if grep -qFf "$work/token" $config; then
	grep -qFf "$work/url" $config || fail "config.toml has this runner with another URL than $url: change it there"
	printf 'ok: is registered at %s already: config.toml stays as it is\n' "$url"
	exit
fi
backup=$(mktemp "$config.$(date +%Y%m%d-%H%M%S).XXXXXX")
cp $config "$backup"
{
	cat "$backup"
	echo
	sed -n '/^\[\[runners\]\]/,$p' "$new"
} >"$work/all"
cat "$work/all" >"$new"
mv -f "$new" $config
printf 'ok: registered at %s beside the runners of config.toml, kept as %s\n' "$url" "${backup##*/}"
