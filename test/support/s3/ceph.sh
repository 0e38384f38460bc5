#!/usr/bin/env bash
# A real S3 server for the tests: Ceph's RADOS gateway with one monitor and one object store in memory, on loopback only.
#
#   ceph.sh up DIR        starts one in DIR (or finds it running); prints its environment, KEY=VALUE
#   ceph.sh down DIR      stops it, and removes its data
#   ceph.sh pause | resume | stop | start DIR    the gateway alone; the data stays
#
# Nothing is installed: the programs come from Debian's packages, by the machine's own apt and mirror, are unpacked into a cache
# (about 160 MB to fetch, once), and run with their own loader. No root is needed. On a machine without apt it says so, and exits with 1.
#
#   PEAT_CEPH_OWNER     a process; once it is gone the server goes, too
#   PEAT_CEPH_CACHE     where the programs are kept (default: peat-ceph in the user's cache directory)
#   PEAT_CEPH_SUITES    Debian suites, the first that works is taken (default: "bookworm trixie")
set -uo pipefail
SELF=$(readlink -f "${BASH_SOURCE[0]}")
unset CEPH_ARGS CEPH_CONF CEPH_KEYRING 2>/dev/null || true
SUITES=${PEAT_CEPH_SUITES:-bookworm trixie}
CACHE=${PEAT_CEPH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/peat-ceph}
MIRROR=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(SITE)' 'Created-By: Packages' 2>/dev/null |
  awk -v own="$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")" '$1 == own { print $2; exit }')
BUCKET=peat-test
TMO=60
say() { printf 'ceph: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------- binaries
root_ok() { [ -s "$CACHE/$1/.version" ] && [ -x "$CACHE/$1/usr/bin/radosgw" ]; }

fetch_suite() { # SUITE -> $CACHE/SUITE, a pruned tree; prints nothing
  local s=$1 a t r o n
  root_ok "$s" && return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { WHY="apt-get or dpkg-deb is missing"; return 1; }
  mkdir -p "$CACHE" || return 1
  exec 8>"$CACHE/.lock-$s"; flock -w 900 8 || { say "cache lock timeout"; return 1; }
  root_ok "$s" && { exec 8>&-; return 0; }
  a=$(mktemp -d "$CACHE/.tmp-$s.XXXXXX") || return 1; r=$a/root; t=$a/all
  mkdir -p "$a/lists/partial" "$a/archives/partial" "$t/usr/lib" "$t/usr/lib64" "$t/usr/bin" "$t/usr/sbin"
  for n in lib lib64 bin sbin; do ln -s "usr/$n" "$t/$n"; done
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $s main" >"$a/sources.list"; : >"$a/status"
  o=(-q -y -o Dir::Etc::sourcelist="$a/sources.list" -o Dir::Etc::sourceparts=/dev/null/ -o Dir::Etc::preferencesparts=/dev/null/
    -o Dir::State="$a" -o Dir::State::lists="$a/lists" -o Dir::State::status="$a/status" -o Dir::Cache="$a" -o Dir::Cache::archives="$a/archives"
    -o APT::Sandbox::User= -o APT::Install-Recommends=false -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
  say "fetching Ceph from $MIRROR $s (once, about 160 MB)"
  if ! timeout 60 apt-get "${o[@]}" --error-on=any update >"$a/log" 2>&1; then
    # a frozen mirror serves a correctly signed but expired index: accept its age, never its signature
    if grep -q 'is expired' "$a/log"; then say "note: the $s index of this mirror is past its Valid-Until date"; o+=(-o Acquire::Check-Valid-Until=false)
      timeout 180 apt-get "${o[@]}" --error-on=any update >>"$a/log" 2>&1 || { tail -5 "$a/log" >&2; rm -rf "$a"; exec 8>&-; return 1; }
    else tail -5 "$a/log" >&2; rm -rf "$a"; exec 8>&-; return 1; fi
  fi
  timeout 600 apt-get "${o[@]}" install --download-only radosgw ceph-mon ceph-osd ceph-common >>"$a/log" 2>&1 || { tail -5 "$a/log" >&2; rm -rf "$a"; exec 8>&-; return 1; }
  for n in "$a"/archives/*.deb; do
    case ${n##*/} in python3*|libpython3*|perl*|systemd*|udev*|*-doc_*|debconf*|dpkg_*|ceph-mgr*|lvm2*|nvme*|smartmontools*|xfsprogs*) continue ;; esac
    dpkg-deb -x "$n" "$t" 2>>"$a/log" || { say "unpack failed: $n"; rm -rf "$a"; exec 8>&-; return 1; }
  done
  # keep only the binaries, Ceph's plugins and the shared libraries they need
  local L=usr/lib/$(uname -m)-linux-gnu ld lp f
  ld=$(find "$t" -name 'ld-linux-*.so.*' -type f 2>/dev/null | head -1) # bookworm: /lib, later: /usr/lib
  [ -n "$ld" ] || { say "no ld.so in $s"; rm -rf "$a"; exec 8>&-; return 1; }
  lp=$t/$L:$t/${L#usr/}:$t/$L/ceph; mkdir -p "$r/usr/bin" "$r/$L" "$r/lib64"
  cp "$ld" "$r/lib64/ld.so"; cp -a "$t/$L/rados-classes" "$r/$L/"; cp -a "$t/$L/ceph" "$r/$L/"
  { for f in ceph-mon ceph-osd radosgw radosgw-admin monmaptool osdmaptool; do cp "$t/usr/bin/$f" "$r/usr/bin/" && "$ld" --library-path "$lp" --list "$t/usr/bin/$f"; done
    find "$t/$L/rados-classes" "$t/$L/ceph" -name '*.so*' -type f | while read -r f; do "$ld" --library-path "$lp" --list "$f"; done; } 2>>"$a/log" |
    awk '$2=="=>" && $3 ~ /^\//{print $3}' | sort -u | while read -r f; do [ -e "$r/$L/${f##*/}" ] || [ -e "$r/$L/ceph/${f##*/}" ] || cp -L "$f" "$r/$L/"; done
  "$r/lib64/ld.so" --library-path "$r/$L:$r/$L/ceph" "$r/usr/bin/radosgw" --version >"$r/.version" 2>>"$a/log" || { say "radosgw of $s does not run here"; tail -3 "$a/log" >&2; rm -rf "$a"; exec 8>&-; return 1; }
  rm -rf "${CACHE:?}/$s"; mv "$r" "$CACHE/$s"; rm -rf "$a"; exec 8>&-
  say "have $(cat "$CACHE/$s/.version")"
}

pick_root() { local s; for s in $SUITES; do if fetch_suite "$s"; then ROOT=$CACHE/$s; return 0; fi; say "suite $s not usable, trying the next"; done; return 1; }

# ---------------------------------------------------------------- processes
LIBDIR() { echo "$ROOT/usr/lib/$(uname -m)-linux-gnu"; }
X() { local b=$1 l; shift; l=$(LIBDIR); "$ROOT/lib64/ld.so" --library-path "$l:$l/ceph" "$ROOT/usr/bin/$b" -c "$D/ceph.conf" "$@"; }
XT() { local t=$1 b=$2 l; shift 2; l=$(LIBDIR); timeout -k 2 "$t" "$ROOT/lib64/ld.so" --library-path "$l:$l/ceph" "$ROOT/usr/bin/$b" -c "$D/ceph.conf" "$@"; }
stat_of() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null; }                    # fields from 3 (state) on
alive() { # NAME: pid file names a live, non-zombie process that is ours (same start time)
  local p st; [ -s "$D/run/$1.pid" ] || return 1; read -r p st <"$D/run/$1.pid"
  set -- $(stat_of "$p"); [ $# -gt 20 ] && [ "$1" != Z ] && [ "$1" != X ] && [ "${20}" = "$st" ]
}
pid_of() { local p _; read -r p _ <"$D/run/$1.pid"; echo "$p"; }
spawn() { # NAME BINARY ARGS...
  local n=$1 b=$2 l; shift 2; l=$(LIBDIR)
  setsid "$ROOT/lib64/ld.so" --library-path "$l:$l/ceph" "$ROOT/usr/bin/$b" -c "$D/ceph.conf" -f "$@" >>"$D/log/$n.out" 2>&1 </dev/null 9>&- 8>&- &
  local p=$!; sleep 0.02; set -- $(stat_of "$p"); echo "$p ${20:-0}" >"$D/run/$n.pid"
}
stop_one() { # NAME TICKS(50 ms) : TERM, wait, KILL
  local i p; alive "$1" || { rm -f "$D/run/$1.pid"; return 0; }
  p=$(pid_of "$1"); kill -CONT "$p" 2>/dev/null; kill -TERM "$p" 2>/dev/null
  for ((i = 0; i < $2; i++)); do alive "$1" || break; sleep 0.05; done
  if alive "$1"; then kill -KILL "$p" 2>/dev/null; for ((i = 0; i < 100; i++)); do alive "$1" || break; sleep 0.05; done; fi
  alive "$1" && { say "cannot stop $1 (pid $p)"; return 1; }
  rm -f "$D/run/$1.pid"
}
stop_all() { stop_one rgw 5; stop_one osd 40; stop_one mon 100; } # the gateway lingers on TERM, and has no state
http_ok() { timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; printf "GET / HTTP/1.0\r\n\r\n" >&3; IFS= read -r l <&3; case $l in "HTTP/1."*" 200 "*) exit 0;; esac; exit 1' "$1" 2>/dev/null; }
wait_for() { local i n=$(($1 * 20)); shift; for ((i = 0; i < n; i++)); do "$@" && return 0; sleep 0.05; done; return 1; }
free_port() { local p i; for ((i = 0; i < 200; i++)); do p=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return 0; }; done; return 1; }
gw_port() { sed -n 's/^AWS_ENDPOINT_URL_S3=.*:\([0-9]*\)$/\1/p' "$D/env" 2>/dev/null; }
healthy() { [ -s "$D/env" ] && alive mon && alive osd && alive rgw && http_ok "$(gw_port)"; }

# ---------------------------------------------------------------- cluster
write_conf() { # MONPORT RGWPORT
  local l; l=$(LIBDIR); FSID=$(cat /proc/sys/kernel/random/uuid)
  cat >"$D/ceph.conf" <<EOF
[global]
fsid = $FSID
mon_host = [v2:127.0.0.1:$1/0]
ms_bind_msgr1 = false
# radosgw insists on secure mode + cephx unless told otherwise; without this line it hangs 300 s
ms_mon_client_mode = crc secure
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
plugin_dir = $l/ceph
erasure_code_dir = $l/ceph/erasure-code
osd_class_dir = $l/rados-classes
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
rgw_rados_pool_pg_num_min = 4
run_dir = $D/run
admin_socket =
pid_file =
log_file = $D/log/\$name.log
crash_dir = $D/log
keyring = $D/keyring
[mon]
mon_data = $D/mon
mon_cluster_log_file = $D/log/cluster.log
mon_osd_auto_mark_in = true
# the default 5 % would stop the monitor on a nearly full disk
mon_data_avail_crit = 0
mon_data_avail_warn = 0
# no periodic manager reports needed: a suspended machine must not mark the osd down
mon_osd_report_timeout = 864000
# default 1 s per map change: 8 s more at every start
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
[osd]
osd_data = $D/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_memory_target = 939524096
osd_op_queue = wpq
osd_crush_update_on_start = false
osd_class_load_list = *
osd_class_default_list = *
[client]
rgw_data = $D/rgw
# without tcp_nodelay every small GET/LIST costs 40 ms (Nagle + delayed ACK)
rgw_frontends = beast endpoint=127.0.0.1:$2 tcp_nodelay=1
rgw_thread_pool_size = 64
rgw_enable_apis = s3
rgw_override_bucket_index_max_shards = 1
rgw_dynamic_resharding = false
rgw_max_listing_results = 1000
rgw_run_sync_thread = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_gc_obj_min_wait = 30
rgw_gc_processor_period = 30
debug_rgw = 0
EOF
}
create() { # fresh cluster; returns 1 on any failure
  local mp rp ak sk
  rm -rf "$D/mon" "$D/osd" "$D/rgw" "$D/env" "$D/created"; mkdir -p "$D/mon" "$D/osd" "$D/rgw" "$D/run" "$D/log" || return 1
  : >"$D/keyring"; : >"$D/log/boot.log"
  mp=$(free_port) || return 1; rp=$(free_port) || return 1; [ "$rp" != "$mp" ] || return 1
  write_conf "$mp" "$rp"
  XT 20 monmaptool --create --clobber --fsid "$FSID" --addv a "[v2:127.0.0.1:$mp]" "$D/monmap" >>"$D/log/boot.log" 2>&1 &&
    XT 20 osdmaptool --createsimple 1 --clobber "$D/osdmap" >>"$D/log/boot.log" 2>&1 &&
    XT 20 ceph-mon --mkfs -i a --monmap "$D/monmap" --osdmap "$D/osdmap" >>"$D/log/boot.log" 2>&1 || { say "mon mkfs failed"; return 1; }
  spawn mon ceph-mon -i a # osd mkfs asks it for the monmap
  XT "$TMO" ceph-osd -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)" >>"$D/log/boot.log" 2>&1 || { say "osd mkfs failed"; return 1; }
  spawn osd ceph-osd -i 0
  ak=s3test$RANDOM$RANDOM; sk=$(tr -d - </proc/sys/kernel/random/uuid)
  # waits for the osd, creates the pools
  XT "$TMO" radosgw-admin user create --uid=test --display-name=test --access-key="$ak" --secret-key="$sk" >"$D/log/user.json" 2>>"$D/log/boot.log" || { say "user create failed"; return 1; }
  echo "$ak $sk $rp" >"$D/created"
  start_gw
}
start_gw() {
  local ak sk rp; read -r ak sk rp <"$D/created" || return 1
  spawn rgw radosgw -n client.rgw
  if ! wait_for "$TMO" gw_up "$rp"; then say "radosgw does not answer"; return 1; fi
  create_bucket "$rp" "$ak" "$sk" || { say "the bucket could not be created"; return 1; }
}
gw_up() { http_ok "$1" || { alive rgw || GW_DEAD=1; return 1; }; }
create_bucket() { # PORT ACCESS_KEY SECRET_KEY : one signed request, with node only; writes $D/env
  SECRET=$3 timeout 60 node - "$1" "$2" "$BUCKET" >>"$D/log/boot.log" 2>&1 <<'JS' || return 1
const [, , port, accessKey, bucket] = process.argv;
const http = require('node:http');
const { createHash, createHmac } = require('node:crypto');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const hex = (text) => createHash('sha256').update(text).digest('hex');
const date = new Date().toISOString().replace(/[:-]|\.\d{3}/g, '');
const headers = { host: `127.0.0.1:${port}`, 'x-amz-content-sha256': hex(''), 'x-amz-date': date };
const names = Object.keys(headers).sort();
const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
const canonical = ['PUT', `/${bucket}`, '', ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), hex('')].join('\n');
const key = ['us-east-1', 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${process.env.SECRET}`, date.slice(0, 8)));
const signature = hmac(key, ['AWS4-HMAC-SHA256', date, scope, hex(canonical)].join('\n')).toString('hex');
headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
http.request({ host: '127.0.0.1', port, method: 'PUT', path: `/${bucket}`, headers }, (answer) => {
  answer.resume();
  process.exitCode = [200, 409].includes(answer.statusCode) ? 0 : 1;
}).end();
JS
  cat >"$D/env" <<EOF
AWS_ENDPOINT_URL_S3=http://127.0.0.1:$1
AWS_ACCESS_KEY_ID=$2
AWS_SECRET_ACCESS_KEY=$3
AWS_REGION=us-east-1
PEAT_TEST_BUCKET=$BUCKET
PEAT_TEST_SERVER=Ceph RADOS gateway $(awk '{print $3}' "$ROOT/.version")
EOF
}
watch_owner() { # the server goes with the process that it was started for
  [ -n "${PEAT_CEPH_OWNER:-}" ] || return 0
  setsid bash -c 'while [ -e "$3/created" ]; do kill -0 "$1" 2>/dev/null || exec bash "$2" down "$3"; sleep 1; done' - "$PEAT_CEPH_OWNER" "$SELF" "$D" >/dev/null 2>&1 </dev/null 9>&- 8>&- &
}
# ---------------------------------------------------------------- commands
cmd=${1:-}
[ $# -ge 2 ] || { sed -n '2,14p' "$0" >&2; exit 2; }
mkdir -p "$2" || exit 1; D=$(cd "$2" && pwd)
if [ -n "$(ls -A "$D")" ] && [ ! -e "$D/.ceph" ]; then die "$D is not empty and not ours"; fi
: >"$D/.ceph"; mkdir -p "$D/run" "$D/log"
exec 9>"$D/.lock"; flock -w 300 9 || die "another one holds $D"
[ -s "$D/root" ] && ROOT=$(cat "$D/root") || ROOT=
case $cmd in
up)
  if healthy; then cat "$D/env"; exit 0; fi
  stop_all || exit 1
  WHY="see above"; pick_root || die "no Ceph to run: $WHY"
  echo "$ROOT" >"$D/root"
  ok=0; for try in 1 2 3; do stop_all; if create; then ok=1; break; fi; say "start attempt $try failed"; tail -n 3 "$D"/log/boot.log "$D"/log/*.out >&2; done
  [ $ok = 1 ] || { stop_all; die "gave up"; }
  watch_owner
  cat "$D/env" ;;
down) stop_all || exit 1; rm -rf "$D/env" "$D/mon" "$D/osd" "$D/rgw" "$D/created" "$D/root" ;;
stop) stop_one rgw 5 ;;
start) alive rgw || start_gw ;;
pause) alive rgw && kill -STOP "$(pid_of rgw)" ;;
resume) alive rgw && kill -CONT "$(pid_of rgw)" ;;
*) die "unknown command $cmd" ;;
esac
