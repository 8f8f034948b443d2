lab: stage 2.50 l1 is up
lab: stage 3.20 L2 starts: intel-iommu,nested=on, accelerator kvm
lab: clock 5.40 l2 1.10
lab: stage 9.00 L2 has ended
NESTED-IOMMU {"return":[{"name":"intel-iommu","running":true,"hwpts":1,"commands":[{"name":"piotlb","value":5},{"name":"wait","value":9},{"name":"page-group-response","value":6},{"name":"iotlb","value":0}],"counters":[{"name":"inv-queued","value":5},{"name":"inv-redundant","value":1},{"name":"inv-entries","value":4},{"name":"inv-ioctls","value":3},{"name":"inv-flushes","value":3},{"name":"inv-early-flushes","value":0},{"name":"inv-largest-batch","value":2},{"name":"hwpt-made","value":2},{"name":"hwpt-shared","value":0},{"name":"attaches","value":3},{"name":"detaches","value":1},{"name":"attaches-put-off","value":0},{"name":"page-groups-in","value":6},{"name":"page-groups-answered","value":6},{"name":"page-groups-refused","value":0},{"name":"page-groups-expired","value":0},{"name":"page-groups-dropped","value":0},{"name":"page-responses-unknown","value":0},{"name":"events-in","value":0},{"name":"events-lost","value":0}],"errors":[{"name":"hwpt","value":0},{"name":"attach","value":0}],"max-hwpts":1024}]}
lab: exit 0
