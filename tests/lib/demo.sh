# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the demos share: two sides that commands are shown from, claims that are checked, users, a log and
# an sshd on a loopback port. Sourced in a copy of the machine (tests/sandbox), with which all of it ends.

dir=/run/demo
port=2222
failures=0
bold='' green='' red='' plain=''
if [ -t 1 ]; then
	bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[m'
fi

die() {
	[ ! -e $dir/log ] || tail -n 20 $dir/sshd.log $dir/log >&2
	echo "${red}demo: $*$plain" >&2
	exit 1
}

# heading TITLE LOOK_AT
heading() {
	printf '\n%s== %s%s\n   %s\n\n' "$bold" "$1" "$plain" "$2"
}

# claim WHAT COMMAND...: the command says whether it is true.
claim() {
	local what=$1
	shift
	if "$@"; then
		echo "   ${green}ok$plain      $what"
	else
		echo "   ${red}FAILED$plain  $what"
		failures=$((failures + 1))
	fi
}

has() { # PATTERN, in what the last command printed
	grep -Eq -- "$1" <<<"$output"
}

hasnt() {
	! has "$1"
}

between() { # LEAST NUMBER MOST
	[ "$1" -le "${2:-0}" ] && [ "${2:-0}" -le "$3" ]
}

eventually() { # COMMAND...: true within ten seconds
	local try
	for try in {1..100}; do
		"$@" && return
		sleep 0.1
	done
	echo "   not true after $try looks: $*" >&2
	return 1
}

# ---- the two sides ----

prompt() { # PROMPT COMMAND
	printf '%s%s %s%s\n' "$bold" "$1" "$2" "$plain"
}

show_output() {
	[ -z "$output" ] || printf '%s\n' "$output"
	echo
}

# The administrator's commands.
outside() {
	prompt '#' "$1"
	output=$(eval "$1" 2>&1) || true
	show_output
}

login() { # USER COMMAND
	ssh -F none -p "$port" -i "$dir/key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
		-o "UserKnownHostsFile=$dir/known_hosts" -o GlobalKnownHostsFile=none "$1@127.0.0.1" "$2"
}

# A login for one command.
as() { # USER COMMAND
	prompt "$1$" "$2"
	output=$(login "$1" "$2" 2>&1 </dev/null) || true
	show_output
}

# One login that stays open, so that what is killed or limited can be seen not to be the login.
open_login() {
	coproc LOGIN { login tenant 'exec bash' 2>&1; }
	exec {to_login}>&"${LOGIN[1]}" {from_login}<&"${LOGIN[0]}"
}

close_login() {
	exec {to_login}>&- {from_login}<&-
}

# A command of the tenant's, in that login.
inside() {
	local line
	prompt 'tenant$' "$1"
	printf '{ %s\n} 2>&1; echo "=end"\n' "$1" >&"$to_login"
	output=
	while IFS= read -r -t 20 line <&"$from_login"; do
		if [ "$line" = =end ]; then
			echo
			return
		fi
		output+=$line$'\n'
		printf '%s\n' "$line"
	done
	die "the tenant's login does not answer: $1"
}

# ---- the set-up ----

make_users() {
	local user
	mkdir -p $dir/keys
	ssh-keygen -q -t ed25519 -N '' -C demo -f $dir/key
	groupadd demo-tenants
	useradd -m -s /bin/bash -G demo-tenants tenant
	useradd -m -s /bin/bash neighbour
	for user in tenant neighbour; do
		cp $dir/key.pub $dir/keys/$user
	done
}

# In a cgroup of its own, or "I am in /" would also be true of the host.
into_own_cgroup() { # PID
	local hierarchy group file
	findmnt -rno TARGET -t cgroup,cgroup2 | while read -r hierarchy; do
		group=$hierarchy/sshd
		mkdir "$group"
		for file in cpuset.cpus cpuset.mems; do # empty in a new group of v1, which then takes nobody
			if [ -e "$group/tasks" ] && [ -e "$group/$file" ]; then
				cat "$hierarchy/$file" >"$group/$file"
			fi
		done
		echo "$1" >"$group/cgroup.procs"
	done
}

start_sshd() {
	ssh-keygen -q -t ed25519 -N '' -C demo -f $dir/hostkey
	echo "[127.0.0.1]:$port $(<$dir/hostkey.pub)" >$dir/known_hosts
	cat >$dir/sshd_config <<-EOF
		Port $port
		ListenAddress 127.0.0.1
		HostKey $dir/hostkey
		AuthorizedKeysFile $dir/keys/%u
		PidFile none
		UsePAM yes
		PrintMotd no
	EOF
	/usr/sbin/sshd -t -f $dir/sshd_config || die "sshd does not like its configuration"
	(
		into_own_cgroup $BASHPID
		exec /usr/sbin/sshd -D -f $dir/sshd_config -E $dir/sshd.log
	) &
	eventually sshd_listens || die "sshd does not listen"
}

# The copy has no syslog. The module's and the helper's reasons are worth having when a step fails.
start_log() {
	perl -MSocket -e 'socket(my $log, AF_UNIX, SOCK_DGRAM, 0) or die;
		bind($log, pack_sockaddr_un("/dev/log")) or die;
		chmod(0666, "/dev/log");
		$| = 1;
		print("$line\n") while defined(recv($log, $line, 8192, 0));' >$dir/log &
	eventually [ -S /dev/log ] || die "no log"
}

sshd_listens() {
	(: </dev/tcp/127.0.0.1/$port) 2>/dev/null
}

no_process() {
	! pgrep -u tenant >/dev/null
}

nothing_left() {
	! find /sys/fs/cgroup -type d -name "u$(id -u tenant)" | grep . && [ ! -e "/run/sessbox/u$(id -u tenant)" ]
}

# run_demo STEP...
run_demo() {
	local start=$SECONDS step
	trap 'echo; echo "demo: stopped" >&2; exit 130' INT TERM HUP
	for step; do
		"$step"
	done
	echo
	[ "$failures" = 0 ] || die "what did not hold: $failures of the claims above"
	echo "All of it held, in $((SECONDS - start)) s. Users, sshd and configuration are gone with this copy of the machine."
}
