package plan

// shellScript is the command of the job container: it looks for bash, then sh,
// in the places where the docker executor looks, and lets it read the script
// from stdin.
const shellScript = `for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do
  if [ -x "$shell" ]; then exec "$shell"; fi
done
echo "no shell found" >&2
exit 1
`

// waitScript keeps the helper container alive between its stages, collects
// orphaned processes and ends at once when told to.
const waitScript = `trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
`

// helperScript starts a stage in the helper container. Its arguments are names
// under which the script may call GitLab Runner.
//
// The umask, as in GitLab's own helper, and the open volumes let an image with
// a USER of its own write to the checkout and the cache. GitLab's helper image
// has the runner's commands only as gitlab-runner-helper; without the name
// gitlab-runner the scripts skip cache and artifacts with a mere warning.
const helperScript = `umask 0000
chmod 0777 ` + BuildsDir + ` ` + CacheDir + ` 2>/dev/null
if helper=$(command -v gitlab-runner-helper); then
  command -v gitlab-runner >/dev/null || ln -s "$helper" /usr/local/bin/gitlab-runner
  for name; do
    [ -e "$name" ] || { mkdir -p "${name%/*}" && ln -s "$helper" "$name"; }
  done
fi
` + shellScript

// HelperCommand returns the command that runs a script from stdin in the helper
// container. runner is the path of the gitlab-runner binary on its own host,
// which some versions write into the scripts; "" when it is not known.
func HelperCommand(runner string) []string {
	command := []string{"sh", "-c", helperScript, "helper"}
	if runner != "" {
		command = append(command, runner)
	}
	return command
}
