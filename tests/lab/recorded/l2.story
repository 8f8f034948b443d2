lab: stage 1.10 l2 is up
{"test":"simple","ok":true,"start_us":1200000,"us":90000,"crc32c":"0x01020304"}
{"vsva":"begin","device":"0000:01:00.0","pasid":1,"queues":4,"pasid_bits":12,"status":7,"seed":1}
{"test":"fill","ok":true,"start_us":1400000,"us":50000,"translations":20,"tlb_hits":0,"invalidations":0,"tlb_dropped":0,"requests":16,"groups":2,"success":2,"invalid":0,"failure":0,"unexpected":0,"put_off":0,"wait_ns":4000000,"wait_max_ns":3000000,"read":0,"written":65536,"descriptors":1,"errors":0}
{"test":"faults","ok":true,"start_us":1500000,"us":900000,"translations":300,"tlb_hits":0,"invalidations":4,"tlb_dropped":20,"requests":24,"groups":3,"success":3,"invalid":0,"failure":0,"unexpected":0,"put_off":0,"wait_ns":6000000,"wait_max_ns":3000000,"read":98304,"written":98304,"descriptors":6,"errors":0,"wanted":24,"rounds":1,"verified":98304,"crc32c":"0xdeadbeef"}
{"test":"nothing","ok":true,"start_us":2500000,"us":100000,"translations":0,"tlb_hits":0,"invalidations":0,"tlb_dropped":0,"requests":1,"groups":1,"success":0,"invalid":1,"failure":0,"unexpected":0,"put_off":0,"wait_ns":2000000,"wait_max_ns":3000000,"read":0,"written":0,"descriptors":3,"errors":1}
{"test":"latency","ok":true,"start_us":2700000,"us":100000,"translations":0,"tlb_hits":0,"invalidations":0,"tlb_dropped":0,"requests":0,"groups":0,"success":0,"invalid":0,"failure":0,"unexpected":0,"put_off":0,"wait_ns":0,"wait_max_ns":3000000,"read":0,"written":0,"descriptors":0,"errors":0,"untouched":{"min_ns":900000,"median_ns":1000000,"max_ns":3500000},"touched":{"min_ns":90000,"median_ns":100000,"max_ns":200000}}
{"vsva":"end","ok":true,"passed":5,"failed":0,"skipped":0,"requests":41}
lab: exit 0
