/**
 * Loads what the engine loads late. Reading a module takes real time, during which virtual time would run on: on a busy machine a lease, or a whole
 * test, is over before the first lock is asked for. Imported by what drives the engine on virtual time.
 */
import '../../compactor/index.ts';
import '../../src/datastore/update.ts';
import '../../src/format/checked-json-encode.ts';
import '../../src/lock/lock-place.ts';
import '../../src/lock/lock-trace.ts';
import '../../src/lock/lock-waker.ts';
import '../../src/lock/owed-markers.ts';
import '../../src/lock/store-locks.ts';
import '../../src/manifest/commit-root.ts';
import '../../src/medium/probe.ts';
import '../../src/medium/waker.ts';
import '../../src/read/watcher.ts';
import '../../src/update/updater.ts';
