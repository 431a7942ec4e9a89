$ErrorActionPreference = 'Stop'
$arguments = @{
    packageName    = 'hnsproxy'
    fileType       = 'msi'
    url64bit       = '{{REPOSITORY}}/releases/download/v{{VERSION}}/{{MSI}}'
    checksum64     = '{{MSI_SHA256}}'
    checksumType64 = 'sha256'
    softwareName   = 'hnsproxy'
    silentArgs     = '/qn /norestart'
    validExitCodes = @(0, 3010)
}
Install-ChocolateyPackage @arguments
