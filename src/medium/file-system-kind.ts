/**
 * What kind of file system a path is on, by the magic number that `statfs` gives, and whether a store may live there.
 *
 * A kind that isn't known counts as remote: that costs speed, the opposite would cost data.
 *
 * NFS caches attributes and names for seconds unless it is mounted with `noac` or `actimeo=0`; then a listing may miss
 * what another host has just acknowledged, so such a mount is refused.
 */
import { readFileSync, realpathSync, statfsSync } from 'node:fs';
import { PeatError } from '../base/errors.ts';

export interface FileSystemKind {
  /** As in `mount`, for messages. */
  readonly name: string;
  /** True if other hosts may change it, or a server stands between. */
  readonly isRemote: boolean;
}

/** From statfs(2) and linux/magic.h. */
const LOCAL: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xca451a4e, 'bcachefs'],
  [0xf2f52010, 'f2fs'],
  [0x2fc12fc1, 'zfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x61756673, 'aufs'],
  [0x52654973, 'reiserfs'],
  [0x3153464a, 'jfs'],
  [0x3434, 'nilfs2'],
  [0xf15f, 'ecryptfs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
  [0x7366746e, 'ntfs3'],
  [0x5346544e, 'ntfs'],
  [0x482b, 'hfsplus'],
  [0x9660, 'iso9660'],
  [0x73717368, 'squashfs'],
  [0xe0f5e1e2, 'erofs'],
]);

const NFS_MAGIC = 0x6969;

const REMOTE: ReadonlyMap<number, string> = new Map([
  [NFS_MAGIC, 'nfs'],
  [0x517b, 'smb'],
  [0xfe534d42, 'smb2'],
  [0xff534d42, 'cifs'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x6b414653, 'kafs'],
  [0x73757245, 'coda'],
  [0x564c, 'ncp'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x19830326, 'beegfs'],
  [0x20030528, 'orangefs'],
  [0xaad7aaea, 'panfs'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs'],
]);

/** What macOS gives: an index into its own table of file systems. */
const LOCAL_ON_MACOS: ReadonlyMap<number, string> = new Map([
  [0x11, 'hfs'],
  [0x1a, 'apfs'],
]);

export interface MountFacts {
  /** `f_type` of statfs(2). */
  readonly magic: number;
  readonly platform: string;
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** The text of /proc/self/mountinfo, asked for on NFS only; undefined if there is none. */
  readonly mountinfo: () => string | undefined;
  /** What the user says instead. */
  readonly remote?: boolean | undefined;
}

/** Decides from facts alone. @throws PeatError `MEDIUM_UNSUITABLE` for an NFS mount that caches attributes. */
export function judgeFileSystem(facts: MountFacts): FileSystemKind {
  const magic = facts.magic >>> 0;
  const local = facts.platform === 'darwin' ? LOCAL_ON_MACOS.get(magic) : LOCAL.get(magic);
  const name = local ?? REMOTE.get(magic) ?? `unknown kind 0x${magic.toString(16)}`;
  const isRemote = facts.remote ?? local === undefined;
  if (isRemote && facts.platform === 'linux' && magic === NFS_MAGIC) refuseCachingNfs(facts);
  return { name, isRemote };
}

function refuseCachingNfs({ path, mountinfo }: MountFacts): void {
  const mount = findMount(mountinfo() ?? '', path);
  if (mount !== undefined && isUncached(mount.options)) return;
  const found = mount === undefined ? 'its mount options are not known' : `it is mounted with ${mount.options.join(',')}`;
  throw new PeatError(
    'MEDIUM_UNSUITABLE',
    `${path} is on NFS, and ${found}: without "noac" or "actimeo=0" a client sees what others wrote only seconds later. ` +
      `Mount ${mount?.point ?? 'it'} with the option "noac"`,
  );
}

/** `actimeo=0` shows as four times of zero, `noac` as itself. */
function isUncached(options: readonly string[]): boolean {
  if (options.includes('noac') || options.includes('actimeo=0')) return true;
  return ['acregmin=0', 'acregmax=0', 'acdirmin=0', 'acdirmax=0'].every((option) => options.includes(option));
}

export interface Mount {
  readonly point: string;
  readonly options: readonly string[];
}

/** The mount that a path is on: the longest mount point above it; of equal ones the last, which covers the others. */
export function findMount(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split('\n')) {
    // 36 35 98:0 /root /mount/point rw,noatime shared:1 - nfs4 server:/path rw,vers=4.2,...
    const [before, after] = line.split(' - ');
    const fields = before?.split(' ') ?? [];
    const [, , , , escapedPoint, mountOptions] = fields;
    if (after === undefined || escapedPoint === undefined || mountOptions === undefined) continue;
    const point = escapedPoint.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`);
    if (!isAbove || (found !== undefined && point.length < found.point.length)) continue;
    const superOptions = after.split(' ')[2] ?? '';
    found = { point, options: [...mountOptions.split(','), ...superOptions.split(',')].filter((option) => option !== '') };
  }
  return found;
}

/** Looks at the file system that an existing path is on. `remote` overrides what its kind says. */
export function fileSystemKind(path: string, remote?: boolean): FileSystemKind {
  return judgeFileSystem({
    magic: statfsSync(path).type,
    platform: process.platform,
    path: realpathSync(path),
    mountinfo: readMountinfo,
    remote,
  });
}

function readMountinfo(): string | undefined {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return undefined;
  }
}
