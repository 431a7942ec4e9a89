# Programs the L2Bridge recordings on the real Host Networking Service of this machine, and compares the result. The endpoints of a
# recording are created without pods, and so without switch ports.
$ErrorActionPreference = 'Stop'
$hnsproxy = 'target/release/hnsproxy.exe'
$failed = @()
foreach ($folder in Get-ChildItem crates/hnsproxy/tests/recordings -Directory -Filter *l2bridge) {
    $name = $folder.Name
    Write-Host "== $name"
    $recorded = Get-Content "$folder/hns.json" -Raw | ConvertFrom-Json
    $node = Get-Content "$folder/host.json" -Raw | ConvertFrom-Json
    $flags = @("--from=$folder/cluster.json", '--hns=windows', '--network-name=cbr0', "--hostname-override=$($node.node)")
    $flags += @($recorded.note -split '\s+' | Where-Object { $_ -like '--*' })
    $flags += @($node.nodeIPs | ForEach-Object { "--node-ip=$_" })
    cargo run --locked -q -p hcn-emulator --example host -- make "$folder/host.json"
    if ($LASTEXITCODE -ne 0) { $failed += "$name (host)" }
    $text = & $hnsproxy run @flags --once -o json -v 2
    if ($LASTEXITCODE -ne 0) { $failed += "$name (run)" }
    $frontend = { "$($_.vips -join ',') $($_.protocol) $($_.externalPort) $($_.internalPort) $(($_.backends | Sort-Object) -join ',')" }
    $held = @(($text -join "`n" | ConvertFrom-Json).loadBalancers | ForEach-Object $frontend)
    $wanted = @($recorded.loadBalancers | ForEach-Object $frontend)
    $difference = Compare-Object $wanted $held
    if ($difference) { $difference | Format-Table -AutoSize | Out-String -Width 300 | Write-Host; $failed += "$name (load balancers)" }
    & $hnsproxy plan @flags
    if ($LASTEXITCODE -ne 0) { $failed += "$name (a second run would write)" }
    # HNS deletes the endpoints and load balancers of a network with it.
    cargo run --locked -q -p hcn-emulator --example host -- remove "$folder/host.json"
}
if ($failed) { throw "failed: $($failed -join '; ')" }
