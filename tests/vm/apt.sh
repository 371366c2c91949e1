# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced. apt_of SUITE DIR - where mmdebstrap gets that suite from: DIR/sources.list and DIR/apt.conf.

# The machine's own sources, in whatever form they are written: those of this suite, or, when it is
# not the machine's own, the same places with the suite's name in the place of the machine's.
apt_sources() {
	own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets \
		--format '$(IDENTIFIER)|$(COMPONENT)|$(RELEASE)|$(SITE)|$(SIGNED_BY)' |
	while IFS='|' read -r kind component release site key; do
		[ "$kind $component" = "Packages main" ] || continue
		case $release in
		"$1" | "$1-updates" | "$1-security") ;;
		"$own" | "$own-updates" | "$own-security") release=$1${release#"$own"} ;;
		*) continue ;;
		esac
		case $key in
		/*) echo "deb [signed-by=$key] $site $release main" ;;
		*) echo "deb $site $release main" ;;
		esac
	done | sort -u
}

# How the machine reaches them: proxies, certificates, time checks.
apt_options() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Check-[A-Za-z-]+|Retries)(::|[[:space:]])' |
		grep -v '""' || true
}

apt_of() {
	apt_sources "$1" >"$2/sources.list"
	apt_options >"$2/apt.conf"
	[ -s "$2/sources.list" ]
}
