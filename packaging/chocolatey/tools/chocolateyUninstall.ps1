$ErrorActionPreference = 'Stop'
Uninstall-ChocolateyPackage -PackageName 'hnsproxy' -FileType 'msi' -SilentArgs '{{{PRODUCT_CODE}}} /qn /norestart' -File ''
