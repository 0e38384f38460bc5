import { describe, expect, it } from 'vitest';
import { fileSystemKind, findMount, judgeFileSystem } from '../../../src/medium/file-system-kind.ts';

const NFS = 0x6969;

const MOUNTS = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 27 0:50 / /data rw,relatime shared:7 - nfs4 server:/data rw,vers=4.2,rsize=1048576,hard,proto=tcp
41 27 0:51 / /data/uncached rw,relatime - nfs4 server:/x rw,vers=4.2,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,hard
42 27 0:52 / /data/with\\040space rw,relatime shared:2 master:1 - nfs server:/y rw,vers=3,noac
43 27 0:53 / /data/half rw,relatime - nfs server:/z rw,acregmax=0,acdirmax=0
44 27 0:54 / /data/covered rw,relatime - nfs server:/z rw,noac
45 27 0:55 / /data/covered rw,relatime - nfs server:/z rw,vers=3
`;

const judge = (facts: { magic?: number; platform?: string; path?: string; mountinfo?: string | undefined; remote?: boolean }) =>
  judgeFileSystem({
    magic: facts.magic ?? NFS,
    platform: facts.platform ?? 'linux',
    path: facts.path ?? '/data/store',
    mountinfo: () => ('mountinfo' in facts ? facts.mountinfo : MOUNTS),
    remote: facts.remote,
  });

describe('the kind of a file system', () => {
  it('is told by its magic number', () => {
    expect(judge({ magic: 0xef53 })).toEqual({ name: 'ext4', isRemote: false });
    expect(judge({ magic: 0x01021994 })).toEqual({ name: 'tmpfs', isRemote: false });
    expect(judge({ magic: 0x9123683e })).toEqual({ name: 'btrfs', isRemote: false });
    expect(judge({ magic: 0x65735546 })).toEqual({ name: 'fuse', isRemote: true });
    expect(judge({ magic: 0x01021997 })).toEqual({ name: '9p', isRemote: true });
  });

  it('is told by a magic number that was taken for a negative one', () => {
    expect(judge({ magic: 0xff534d42 | 0 })).toEqual({ name: 'cifs', isRemote: true });
  });

  it('counts as remote if it is not known', () => {
    expect(judge({ magic: 0x12345 })).toEqual({ name: 'unknown kind 0x12345', isRemote: true });
    expect(judge({ magic: 0x12345, platform: 'darwin' }).isRemote).toBe(true);
    expect(judge({ magic: 0x1a, platform: 'darwin' })).toEqual({ name: 'apfs', isRemote: false });
  });

  it('gives way to what the user says', () => {
    expect(judge({ magic: 0xef53, remote: true })).toEqual({ name: 'ext4', isRemote: true });
    expect(judge({ remote: false })).toEqual({ name: 'nfs', isRemote: false });
  });

  it('is found for a real path', () => {
    expect(fileSystemKind('.').name).not.toBe('');
    expect(fileSystemKind('.', true).isRemote).toBe(true);
  });
});

describe('NFS', () => {
  it.each(['/data/uncached', '/data/uncached/a/b', '/data/with space/store'])('is accepted where nothing is cached: %s', (path) => {
    expect(judge({ path })).toEqual({ name: 'nfs', isRemote: true });
  });

  it.each(['/data/store', '/data/half/store', '/data/covered/store', '/data/uncached-not'])(
    'is refused where attributes are cached: %s',
    (path) => {
      expect(() => judge({ path })).toThrow(
        expect.objectContaining({ code: 'MEDIUM_UNSUITABLE', message: expect.stringContaining('"noac"') }),
      );
    },
  );

  it('is refused where the mount options can not be read', () => {
    expect(() => judge({ mountinfo: undefined })).toThrow('its mount options are not known');
    expect(() => judge({ mountinfo: 'nonsense\n\n1 2' })).toThrow('its mount options are not known');
  });
});

describe('findMount', () => {
  it('takes the longest mount point above the path', () => {
    expect(findMount(MOUNTS, '/home/x')?.point).toBe('/');
    expect(findMount(MOUNTS, '/data')?.point).toBe('/data');
    expect(findMount(MOUNTS, '/database')?.point).toBe('/');
    expect(findMount(MOUNTS, '/data/with space')?.point).toBe('/data/with space');
  });
});
