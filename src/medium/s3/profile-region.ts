/** The region that the profile in use says, in `~/.aws/config`; asked only where neither an option nor the environment says one. */
export async function profileRegion(): Promise<string | undefined> {
  const { loadConfig, NODE_REGION_CONFIG_FILE_OPTIONS } = await import('@smithy/core/config');
  const region = loadConfig<string | undefined>(
    {
      environmentVariableSelector: () => undefined,
      configFileSelector: (profile) => profile['region'],
      default: async () => undefined,
    },
    NODE_REGION_CONFIG_FILE_OPTIONS,
  );
  return await region();
}
