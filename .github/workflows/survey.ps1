# Probes the real Host Networking Service of this machine, with an L2Bridge network without pods. The surveys are artifacts: an answer that is not
# the expected one is a finding, and not an error.
$ErrorActionPreference = 'Stop'
$hnsproxy = 'target/release/hnsproxy.exe'
$recording = 'crates/hnsproxy/tests/recordings/boutique-l2bridge/host.json'
New-Item -ItemType Directory -Force surveys | Out-Null
function Survey($name, $flags) {
    $text = & $hnsproxy probe --hns=windows @flags -o json
    $code = $LASTEXITCODE
    # Without a byte order mark.
    [IO.File]::WriteAllText("$PWD/surveys/$name.json", ($text -join "`n") + "`n")
    Write-Host "== $name"
    Write-Host ($text -join "`n")
    if ($code -gt 1) { throw "$name could not be probed: exit code $code" }
}
Survey 'before' @()
cargo run --locked -q -p hcn-emulator --example host -- make $recording
try {
    Survey 'l2bridge' @('--network-name=cbr0', '--write', '--yes')
    & $hnsproxy probe --hns=windows --cleanup
    if ($LASTEXITCODE -ne 0) { throw 'the probe has left objects' }
} finally {
    cargo run --locked -q -p hcn-emulator --example host -- remove $recording
}
