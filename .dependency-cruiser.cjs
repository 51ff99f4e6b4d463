/**
 * The import law: folders are processors (which thread runs the code), and what a folder may import is written here
 * and in its README. Tests may import anything.
 */
const law = (name, from, allowed, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from, pathNot: '\\.(test|bench)\\.ts$' },
  to: { path: '^(guest|hypervisor|devices|kernel|test)/', pathNot: [from, ...allowed] },
});

module.exports = {
  forbidden: [
    law(
      'include-is-bottom',
      '^kernel/include/',
      ['^kernel/lib/(struct|bits)\\.ts$'],
      'layouts and tables need only the struct and bit-field helpers',
    ),
    law('lib', '^kernel/lib/', ['^kernel/include/'], 'lib imports include'),
    law(
      'kernel',
      '^kernel/(?!include/|lib/)',
      ['^kernel/', '^devices/physical/[a-z]+/[a-z_]+\\.ts$'],
      'the kernel sees hardware through its bus interfaces',
    ),
    law('physical', '^devices/physical/', ['^kernel/(include|lib)/'], 'hardware imports include and lib'),
    law(
      'virtual',
      '^devices/virtual/',
      ['^kernel/(include|lib)/', '^hypervisor/(machine_api|syscall|heap)\\.ts$'],
      'virtual devices see the machine through its interfaces',
    ),
    law(
      'explain-areas',
      '^hypervisor/explain/areas/',
      [
        '^kernel/(include|lib)/',
        '^hypervisor/explain/',
        '^kernel/kvm/kvm_area\\.ts$',
        '^devices/physical/css/(css_area|subchannel)\\.ts$',
        '^devices/physical/pamu/soc_area\\.ts$',
        '^guest/cpu/state\\.ts$',
      ],
      'explaining reads shared memory by the layouts of those whose memory it is',
    ),
    law(
      'hypervisor',
      '^hypervisor/(?!explain/areas/)',
      ['^kernel/(include|lib)/', '^devices/virtual/', '^devices/physical/dasd/', '^hypervisor/explain/areas/'],
      'the VMM imports include, lib and its devices; the dasd command is an offline tool on images',
    ),
    law(
      'guest',
      '^guest/',
      ['^kernel/(include|lib)/', '^kernel/kvm/book3s_64_vio_hv\\.ts$'],
      "the vCPU's thread imports include, lib and the real-mode handlers",
    ),
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'not-to-test',
      severity: 'error',
      from: { path: '^(guest|hypervisor|devices|kernel)/', pathNot: '\\.(test|bench)\\.ts$' },
      to: { path: '^test/|\\.test\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
