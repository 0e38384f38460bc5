import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheSettings } from '../../../../src/medium/s3/cache-settings.ts';

const GIB = 1024 ** 3;
const settings = (env: Record<string, string>, platform: NodeJS.Platform = 'linux') => cacheSettings(undefined, { env, platform });

describe('settings of the cache', () => {
  it('come from the option, else from the environment, else from the platform', () => {
    expect(settings({ XDG_CACHE_HOME: '/xdg' })).toEqual({ directory: '/xdg/peat', bytesMax: GIB });
    expect(settings({ XDG_CACHE_HOME: 'relative' })?.directory).toBe(join(homedir(), '.cache', 'peat'));
    expect(settings({}, 'darwin')?.directory).toBe(join(homedir(), 'Library', 'Caches', 'peat'));
    expect(settings({ LOCALAPPDATA: '/local' }, 'win32')?.directory).toBe('/local/peat');
    expect(settings({ XDG_CACHE_HOME: '/xdg', PEAT_CACHE_DIR: '/mine', PEAT_CACHE_BYTES: '33554432' })).toEqual({
      directory: '/mine',
      bytesMax: 33_554_432,
    });
    const env = { PEAT_CACHE_DIR: '/mine', PEAT_CACHE_BYTES: 'off' };
    expect(cacheSettings({ directory: '/option', bytesMax: 2 * GIB }, { env })).toEqual({ directory: '/option', bytesMax: 2 * GIB });
  });

  it('switch it off', () => {
    expect(settings({ PEAT_CACHE_BYTES: '0' })).toBeUndefined();
    expect(settings({ PEAT_CACHE_BYTES: 'off' })).toBeUndefined();
    expect(cacheSettings(false, { env: {} })).toBeUndefined();
    expect(cacheSettings({ bytesMax: 0 }, { env: {} })).toBeUndefined();
  });

  it.each([
    ['1GB', /PEAT_CACHE_BYTES.*"1GB"/],
    ['-1', /PEAT_CACHE_BYTES.*"-1"/],
    ['1024', /PEAT_CACHE_BYTES.*from 16777216, got 1024/],
  ])('name the value %s of the environment', (text, message) => {
    expect(() => settings({ PEAT_CACHE_BYTES: text })).toThrow(message);
  });

  it.each([
    [{ bytesMax: 1.5 * GIB + 0.5 }, /s3\.cache\.bytesMax.*got 1610612736\.5/],
    [{ bytesMax: '1' }, /s3\.cache\.bytesMax must be a number, got "1"/],
    [{ directory: '' }, /s3\.cache\.directory.*""/],
    [{ size: 1 }, /no option "size"/],
    ['off', /false or an object, got "off"/],
  ])('name the value of the option %j', (option, message) => {
    expect(() => cacheSettings(option as never, { env: {} })).toThrow(message);
  });
});
